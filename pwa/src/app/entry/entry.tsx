/** The way in: by what the server offers, or by the link that was opened. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { opened } from "../state/route";
import { isOver, theSession } from "../state/shop";
import { Icon } from "../ui/icon";
import { Button, Fault, Field, Note, Slip } from "../ui/parts";
import { LANGUAGES, language, speak, words } from "../words";
import { it } from "../words/it";
import { CodeForm, PairForm } from "./pair";
import { SetupForm } from "./setup";
import { askWays, enterByPasskey, hasPasskeys, oidcHref, working, type Ways } from "./ways";

export function Entry() {
  const t = words.value;
  const link = opened.value;
  const byCode = useSignal(false);
  return (
    <div class="entry">
      <main class="entry-paper" id="main">
        <header class="entry-head">
          <span class="entry-sign">
            <Icon name="printer" size={32} />
          </span>
          <h1>{t.app.name}</h1>
          <p>{t.entry.welcome}</p>
        </header>
        <Slip>
          {link?.kind === "setup" && <SetupForm token={link.token} />}
          {link?.kind === "pair" && <PairForm token={link.token} />}
          {(link === null || link.kind === "back") &&
            (byCode.value ? (
              <CodeForm onBack={() => (byCode.value = false)} />
            ) : (
              <SignIn onCode={() => (byCode.value = true)} />
            ))}
        </Slip>
        <footer class="entry-foot">
          {LANGUAGES.map((one) => (
            <button
              key={one}
              type="button"
              class="link"
              lang={one}
              aria-pressed={language.value === one}
              onClick={() => void speak(one)}
            >
              {one === "it" ? it.languageName : "English"}
            </button>
          ))}
        </footer>
      </main>
    </div>
  );
}

function SignIn({ onCode }: { readonly onCode: () => void }) {
  const t = words.value;
  const ways = useSignal<Ways | null | undefined>(undefined);
  const busy = useSignal(false);
  const fault = useSignal<string | null>(null);
  const form = { merchant: useSignal(""), login: useSignal(""), password: useSignal(""), device: useSignal("") };
  const shown = useSignal(false);
  const ask = () => void askWays().then((told) => (ways.value = told));
  useEffect(ask, []);
  const run = (work: () => Promise<unknown>) => void working(busy, fault, work);
  const device = () => form.device.value.trim() || t.entry.deviceDefault;
  const byPassword = (event: Event) => {
    event.preventDefault();
    const merchant = form.merchant.value.trim();
    const entry = { login: form.login.value.trim(), password: form.password.value, deviceName: device() };
    run(() => theSession().byPassword(merchant === "" ? entry : { ...entry, merchant }));
  };
  return (
    <form class="form" onSubmit={byPassword}>
      <h2>{t.entry.title}</h2>
      {isOver.value && <Note text={t.entry.over} />}
      {opened.value?.kind === "back" && <Note text={t.entry.oidcFailed} />}
      {ways.value === null && (
        <Note text={t.entry.offlineWays}>
          <Button kind="quiet" icon="refresh" onClick={ask}>
            {t.common.retry}
          </Button>
        </Note>
      )}
      <Field
        label={t.entry.login}
        name="username"
        autocomplete="username webauthn"
        autocapitalize="none"
        required
        value={form.login.value}
        onText={(text) => (form.login.value = text)}
      />
      <Field
        label={t.entry.password}
        name="password"
        type={shown.value ? "text" : "password"}
        autocomplete="current-password"
        required
        value={form.password.value}
        onText={(text) => (form.password.value = text)}
        after={
          <button
            type="button"
            class="field-after"
            aria-pressed={shown.value}
            onClick={() => (shown.value = !shown.value)}
          >
            {shown.value ? t.entry.hidePassword : t.entry.showPassword}
          </button>
        }
      />
      <details class="more-fields">
        <summary>
          {t.entry.merchant}, {t.entry.deviceName.toLowerCase()}
        </summary>
        <Field
          label={t.entry.merchant}
          hint={t.entry.merchantHint}
          autocomplete="organization"
          autocapitalize="none"
          value={form.merchant.value}
          onText={(text) => (form.merchant.value = text)}
        />
        <Field
          label={t.entry.deviceName}
          placeholder={t.entry.deviceDefault}
          autocomplete="off"
          value={form.device.value}
          onText={(text) => (form.device.value = text)}
        />
      </details>
      <Fault text={fault.value} />
      <Button kind="do" wide type="submit" busy={busy.value}>
        {busy.value ? t.entry.working : t.entry.enter}
      </Button>
      <p class="or">{t.entry.or}</p>
      {hasPasskeys() && (
        <Button
          icon="passkey"
          wide
          disabled={busy.value}
          onClick={() => run(() => enterByPasskey(theSession(), device()))}
        >
          {t.entry.byPasskey}
        </Button>
      )}
      <Button icon="pair" wide onClick={onCode}>
        {t.entry.byCode}
      </Button>
      {ways.value?.oidc != null && (
        <a class="button plain wide" href={oidcHref(ways.value.oidc.start, device())}>
          <Icon name="user" />
          {t.entry.byOidc}
        </a>
      )}
    </form>
  );
}
