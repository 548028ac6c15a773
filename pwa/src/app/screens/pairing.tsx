/** A code that lets another device in: as a picture to scan, and to be typed. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { encode } from "uqr";
import { sayWhy } from "../entry/ways";
import { time } from "../format";
import { isOwner, me, theSession } from "../state/shop";
import { Button, Choice, Field } from "../ui/parts";
import { words } from "../words";

interface Code {
  readonly code: string;
  readonly link: string;
  readonly expires_at: string;
}

export function Pairing() {
  const t = words.value;
  const owner = isOwner();
  const isPerson = me.value?.person != null;
  const name = useSignal("");
  const who = useSignal<"till" | "me">(owner ? "till" : "me");
  const code = useSignal<Code | null>(null);
  const busy = useSignal(false);
  const fault = useSignal<string | null>(null);
  const isOld = useSignal(false);
  useEffect(() => {
    if (code.value === null) return undefined;
    isOld.value = false;
    const timer = setTimeout(() => (isOld.value = true), Math.max(0, Date.parse(code.value.expires_at) - Date.now()));
    return () => clearTimeout(timer);
  }, [code.value]);
  const make = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    fault.value = null;
    const named = name.value.trim() === "" ? {} : { device_name: name.value.trim() };
    try {
      code.value = await theSession().ask<Code>("POST", "/v1/auth/pairings", {
        ...named,
        ...(who.value === "me" ? { person: "me" } : {}),
      });
    } catch (error) {
      fault.value = sayWhy(error);
    } finally {
      busy.value = false;
    }
  };
  if (code.value !== null && !isOld.value) return <Shown code={code.value} />;
  return (
    <form class="form" onSubmit={(event) => void make(event)}>
      {isOld.value && <p class="fault">{t.pairing.expired}</p>}
      {owner && isPerson && (
        <Choice
          label={t.pairing.as}
          of={["till", "me"] as const}
          now={who.value}
          name={(one) => (one === "till" ? t.pairing.asTill : t.pairing.asMe)}
          onChoose={(one) => (who.value = one)}
        />
      )}
      <Field
        label={`${t.pairing.name} (${t.common.optional})`}
        placeholder={t.pairing.namePlaceholder}
        maxlength={60}
        autocomplete="off"
        value={name.value}
        onText={(text) => (name.value = text)}
      />
      {fault.value !== null && (
        <p class="fault" role="alert">
          {fault.value}
        </p>
      )}
      <Button kind="do" icon="pair" wide type="submit" busy={busy.value}>
        {t.pairing.make}
      </Button>
    </form>
  );
}

function Shown({ code }: { readonly code: Code }) {
  const t = words.value;
  return (
    <div class="paired">
      <p>{t.pairing.text}</p>
      <p class="paired-place">{location.host}</p>
      <Qr text={code.link} label={t.pairing.qr} />
      <p class="hint">{t.pairing.typed}</p>
      <p class="paired-code figure">{code.code}</p>
      <p class="hint">{t.pairing.expires(time(code.expires_at, t.locale))}</p>
    </div>
  );
}

/** Dark on light whatever the colours of the screen: cameras read no other. */
function Qr({ text, label }: { readonly text: string; readonly label: string }) {
  const { data, size } = encode(text, { ecc: "M", border: 2 });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <path d={path} />
    </svg>
  );
}
