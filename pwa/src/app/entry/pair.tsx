/** Being let in by a code: typed, or brought by a link that was scanned. */
import { useSignal } from "@preact/signals";
import { opened } from "../state/route";
import { stage, theSession } from "../state/shop";
import { Button, Fault, Field } from "../ui/parts";
import { words } from "../words";
import { working } from "./ways";

export function CodeForm({ onBack }: { readonly onBack: () => void }) {
  const t = words.value;
  const code = useSignal("");
  const device = useSignal("");
  const busy = useSignal(false);
  const fault = useSignal<string | null>(null);
  const pair = (event: Event) => {
    event.preventDefault();
    void working(busy, fault, () => theSession().pair(code.value, device.value.trim() || t.entry.deviceDefault));
  };
  return (
    <form class="form" onSubmit={pair}>
      <h2>{t.entry.codeTitle}</h2>
      <p>{t.entry.codeText}</p>
      <Field
        label={t.entry.code}
        hint={t.entry.codeHint}
        autocomplete="one-time-code"
        autocapitalize="characters"
        spellcheck={false}
        required
        autofocus
        value={code.value}
        onText={(text) => (code.value = text)}
      />
      <DeviceName value={device.value} onText={(text) => (device.value = text)} />
      <Fault text={fault.value} />
      <Button kind="do" wide type="submit" busy={busy.value}>
        {busy.value ? t.entry.working : t.entry.connect}
      </Button>
      <Button kind="quiet" icon="back" onClick={onBack}>
        {t.entry.byPassword}
      </Button>
    </form>
  );
}

/** A link was opened: nothing happens before a person says so, for opening it is easily done by mistake. */
export function PairForm({ token }: { readonly token: string }) {
  const t = words.value;
  const device = useSignal("");
  const busy = useSignal(false);
  const fault = useSignal<string | null>(null);
  const pair = async (event: Event) => {
    event.preventDefault();
    const name = device.value.trim() || t.entry.deviceDefault;
    if (await working(busy, fault, () => theSession().pair(token, name))) opened.value = null;
  };
  return (
    <form class="form" onSubmit={(event) => void pair(event)}>
      <h2>{t.entry.pairTitle}</h2>
      <p>{t.entry.pairText}</p>
      <DeviceName value={device.value} onText={(text) => (device.value = text)} />
      <Fault text={fault.value} />
      <Button kind="do" wide type="submit" busy={busy.value}>
        {busy.value ? t.entry.working : t.entry.connect}
      </Button>
      <Button kind="quiet" onClick={() => (opened.value = null)}>
        {stage.value === "inside" ? t.common.cancel : t.entry.byPassword}
      </Button>
    </form>
  );
}

export function DeviceName({ value, onText }: { readonly value: string; readonly onText: (text: string) => void }) {
  const t = words.value;
  return (
    <Field
      label={t.entry.deviceName}
      placeholder={t.entry.deviceDefault}
      autocomplete="off"
      maxlength={60}
      value={value}
      onText={onText}
    />
  );
}
