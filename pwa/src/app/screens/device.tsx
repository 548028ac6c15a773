/** This device in Stato: who and where, how it looks, its PIN, further ways in, and the way out. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Status } from "../../client";
import { hasPasskeys, makePasskey, sayWhy } from "../entry/ways";
import { PinDialog } from "../lock/choose";
import { kept, lock, removePin } from "../lock/state";
import { isOwner, me, theClient, theSession } from "../state/shop";
import { THEMES, paint, theme } from "../state/theme";
import { terminalOf } from "../state/till";
import { tell } from "../state/toasts";
import { askForPush, endPush, push } from "../state/worker";
import { Dialog } from "../ui/dialog";
import { lazy } from "../ui/lazy";
import { Button, Choice, Pair, Slip } from "../ui/parts";
import { LANGUAGES, language, speak, words } from "../words";

const Pairing = lazy(async () => (await import("./pairing")).Pairing);

export function SectionHere() {
  const t = words.value;
  const who = me.value;
  return (
    <Slip aria-label={t.status.here}>
      <h2>{t.status.here}</h2>
      <Pair name={t.status.merchant}>{who?.merchant.name ?? "…"}</Pair>
      <Pair name={t.status.shop}>{who?.shop ?? "…"}</Pair>
      <Pair name={t.status.device}>{who?.device.name ?? "…"}</Pair>
      {who?.person != null && <Pair name={t.status.person}>{who.person.name}</Pair>}
      <Pair name={t.status.role}>{who === null ? "…" : (t.status.roles[who.role] ?? who.role)}</Pair>
      <Pair name={t.status.terminal}>{who === null ? "…" : terminalOf(who)}</Pair>
    </Slip>
  );
}

export function SectionLook() {
  const t = words.value;
  return (
    <Slip aria-label={t.status.appearance}>
      <h2>{t.status.appearance}</h2>
      <div class="form">
        <Choice
          label={t.status.language}
          of={LANGUAGES}
          now={language.value}
          name={(one) => (one === "it" ? "Italiano" : "English")}
          onChoose={(one) => void speak(one)}
        />
        <Choice
          label={t.status.theme}
          of={THEMES}
          now={theme.value}
          name={(one) => t.status.themes[one]}
          onChoose={paint}
        />
      </div>
    </Slip>
  );
}

export function SectionPin() {
  const t = words.value;
  const choosing = useSignal(false);
  const isSet = kept.value !== null;
  return (
    <Slip aria-label={t.status.pinTitle}>
      <h2>{t.status.pinTitle}</h2>
      <p class="hint">{t.status.pinText}</p>
      <div class="row-do">
        <Button icon="lock" onClick={() => (choosing.value = true)}>
          {isSet ? t.status.pinChange : t.status.pinSet}
        </Button>
        {isSet && <Button onClick={lock}>{t.status.pinLock}</Button>}
        {isSet && (
          <Button
            kind="quiet"
            onClick={() => {
              removePin();
              tell(t.lock.removed);
            }}
          >
            {t.status.pinRemove}
          </Button>
        )}
      </div>
      {choosing.value && <PinDialog onClose={() => (choosing.value = false)} />}
    </Slip>
  );
}

/** Notifications: asked for by a tap, where there is something to tell of. */
export function SectionPush() {
  const t = words.value;
  const busy = useSignal(false);
  if (push.value === "unsupported" || me.value?.person == null) return null;
  const run = async (work: () => Promise<void>) => {
    busy.value = true;
    await work().catch((error: unknown) =>
      tell(error instanceof DOMException ? t.status.pushFailed : sayWhy(error), { kind: "trouble" }),
    );
    busy.value = false;
  };
  return (
    <Slip aria-label={t.status.pushTitle}>
      <h2>{t.status.pushTitle}</h2>
      <p class="hint">
        {push.value === "denied" ? t.status.pushDenied : push.value === "on" ? t.status.pushIsOn : t.status.pushText}
      </p>
      {push.value !== "denied" && (
        <div class="row-do">
          <Button
            icon="bell"
            busy={busy.value}
            onClick={() => void run(push.value === "on" ? endPush : () => askForPush(language.value))}
          >
            {push.value === "on" ? t.status.pushOff : t.status.pushOn}
          </Button>
        </div>
      )}
    </Slip>
  );
}

interface Passkey {
  readonly credential_id: string;
  readonly name: string;
}

/** A person adds passkeys and devices; a till on which nobody is signed in does neither. */
export function SectionWays() {
  const t = words.value;
  const pairing = useSignal(false);
  const mayPair = me.value?.person != null || isOwner();
  if (!mayPair) return null;
  return (
    <Slip aria-label={t.status.devices}>
      <h2>{t.status.devices}</h2>
      <p class="hint">{t.status.devicesText}</p>
      <div class="row-do">
        <Button icon="pair" onClick={() => (pairing.value = true)}>
          {t.status.pair}
        </Button>
      </div>
      {me.value?.person != null && hasPasskeys() && <Passkeys />}
      {pairing.value && (
        <Dialog title={t.pairing.title} onClose={() => (pairing.value = false)}>
          <Pairing />
        </Dialog>
      )}
    </Slip>
  );
}

function Passkeys() {
  const t = words.value;
  const known = useSignal<readonly Passkey[]>([]);
  const busy = useSignal(false);
  const look = async () => {
    known.value = (
      await theSession().ask<{ readonly passkeys: readonly Passkey[] }>("GET", "/v1/auth/passkeys")
    ).passkeys;
  };
  useEffect(() => void look().catch(() => undefined), []);
  const run = async (work: () => Promise<unknown>, done: string) => {
    busy.value = true;
    try {
      await work();
      tell(done);
      await look();
    } catch (error) {
      tell(sayWhy(error), { kind: "trouble" });
    } finally {
      busy.value = false;
    }
  };
  const remove = (id: string) => run(() => theSession().ask("DELETE", `/v1/auth/passkeys/${id}`), t.common.delete);
  return (
    <>
      <h3 class="over">{t.status.passkeys}</h3>
      {known.value.length === 0 && <p class="hint">{t.status.passkeyNone}</p>}
      {known.value.map((one) => (
        <Pair key={one.credential_id} name={one.name}>
          <Button kind="quiet" disabled={busy.value} onClick={() => void remove(one.credential_id)}>
            {t.status.passkeyRemove}
          </Button>
        </Pair>
      ))}
      <div class="row-do">
        <Button
          icon="passkey"
          busy={busy.value}
          onClick={() =>
            void run(() => makePasskey(theSession(), me.value?.device.name ?? "Passkey"), t.status.passkeyAdded)
          }
        >
          {t.status.passkeyAdd}
        </Button>
      </div>
    </>
  );
}

/** The way out; while anything waits it warns, and offers to send first. */
export function SectionSignOut({ status }: { readonly status: Status }) {
  const t = words.value;
  const asked = useSignal(false);
  const waits = status.pending + status.waiting;
  const out = () => {
    asked.value = false;
    void theSession().signOut();
  };
  return (
    <>
      <Button kind="danger" icon="signOut" wide onClick={() => (asked.value = true)}>
        {t.status.signOut}
      </Button>
      {asked.value && (
        <Dialog title={t.status.signOut} onClose={() => (asked.value = false)}>
          <p>{waits > 0 ? t.status.signOutPending(waits) : t.status.signOutText}</p>
          <div class="dialog-do">
            {waits > 0 && (
              <Button kind="do" icon="send" onClick={() => theClient().wake()}>
                {t.status.signOutSend}
              </Button>
            )}
            <Button kind="danger" icon="signOut" onClick={out}>
              {waits > 0 ? t.status.signOutAnyway : t.status.signOut}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
