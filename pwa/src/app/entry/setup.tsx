/** A one-time link is taken: how its person is called, and what they sign in by from now on. */
import { useSignal } from "@preact/signals";
import { opened } from "../state/route";
import { theSession } from "../state/shop";
import { tell } from "../state/toasts";
import { Button, Choice, Fault, Field } from "../ui/parts";
import { words } from "../words";
import { DeviceName } from "./pair";
import { hasPasskeys, makePasskey, sayWhy, working } from "./ways";

const KINDS = ["password", "passkey"] as const;

export function SetupForm({ token }: { readonly token: string }) {
  const t = words.value;
  const kind = useSignal<(typeof KINDS)[number]>("password");
  const form = { name: useSignal(""), login: useSignal(""), password: useSignal(""), device: useSignal("") };
  const busy = useSignal(false);
  const fault = useSignal<string | null>(null);
  const take = async (event: Event) => {
    event.preventDefault();
    const name = form.name.value.trim();
    const person = {
      token,
      ...(name === "" ? {} : { name }),
      deviceName: form.device.value.trim() || t.entry.deviceDefault,
    };
    const byPassword = { ...person, login: form.login.value.trim(), password: form.password.value };
    const entry = kind.value === "password" ? byPassword : person;
    if (!(await working(busy, fault, () => theSession().setUp(entry)))) return;
    opened.value = null;
    if (kind.value === "passkey") await addPasskey(person.deviceName);
  };
  return (
    <form class="form" onSubmit={(event) => void take(event)}>
      <h2>{t.entry.setupTitle}</h2>
      <p>{t.entry.setupText}</p>
      <Field
        label={t.entry.yourName}
        autocomplete="name"
        maxlength={100}
        value={form.name.value}
        onText={(text) => (form.name.value = text)}
      />
      {hasPasskeys() && (
        <Choice
          label={t.entry.setupText}
          of={KINDS}
          now={kind.value}
          name={(one) => (one === "password" ? t.entry.withPassword : t.entry.withPasskey)}
          onChoose={(one) => (kind.value = one)}
        />
      )}
      {kind.value === "password" ? (
        <>
          <Field
            label={t.entry.login}
            name="username"
            autocomplete="username"
            autocapitalize="none"
            required
            value={form.login.value}
            onText={(text) => (form.login.value = text)}
          />
          <Field
            label={t.entry.newPassword}
            name="password"
            type="password"
            autocomplete="new-password"
            hint={t.entry.passwordHint}
            minlength={10}
            required
            value={form.password.value}
            onText={(text) => (form.password.value = text)}
          />
        </>
      ) : (
        <p class="hint">{t.entry.passkeyExplain}</p>
      )}
      <DeviceName value={form.device.value} onText={(text) => (form.device.value = text)} />
      <Fault text={fault.value} />
      <Button kind="do" wide type="submit" busy={busy.value}>
        {busy.value ? t.entry.working : t.entry.start}
      </Button>
    </form>
  );
}

/** They are in already; a passkey that was not made can be made in Stato. */
async function addPasskey(name: string): Promise<void> {
  try {
    await makePasskey(theSession(), name);
    tell(words.value.status.passkeyAdded);
  } catch (error) {
    tell(sayWhy(error), { kind: "trouble", ms: 8_000 });
  }
}
