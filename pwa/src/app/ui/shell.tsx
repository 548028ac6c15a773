/** What surrounds every screen: the sections, the pill, the slip at a till's side. */
import type { ComponentChildren } from "preact";
import { isOpenCheck } from "../state/collections";
import { useLive, useRecords, useStatus } from "../state/live";
import { hrefOf, route, type Screen } from "../state/route";
import { isOwner, me, theClient } from "../state/shop";
import { standingOf } from "../state/standing";
import { tell } from "../state/toasts";
import { updateWaits } from "../state/update";
import { words, type Words } from "../words";
import { Icon, type IconName } from "./icon";
import { Button } from "./parts";

interface Section {
  readonly screen: Screen;
  readonly icon: IconName;
  readonly name: (t: Words) => string;
  /** On a phone the bar has five: the other two are reached by the pill. */
  readonly onBar: boolean;
}

const SECTIONS: readonly Section[] = [
  { screen: "vendita", icon: "cart", name: (t) => t.nav.sale, onBar: true },
  { screen: "oggi", icon: "day", name: (t) => t.nav.today, onBar: true },
  { screen: "fatture", icon: "invoice", name: (t) => t.nav.invoices, onBar: true },
  { screen: "rubrica", icon: "book", name: (t) => t.nav.archive, onBar: true },
  { screen: "controllo", icon: "check", name: (t) => t.nav.review, onBar: true },
  { screen: "stato", icon: "state", name: (t) => t.nav.status, onBar: false },
  { screen: "operazioni", icon: "ops", name: (t) => t.nav.operations, onBar: false },
];

/** How many things wait for a person, beside the mutations that were rejected: they are in the status. */
function useOpenQuestions(): number {
  const conflicts = useLive(() => theClient().liveConflicts());
  const checks = useRecords("reconciliations");
  const files = useRecords("quarantined");
  const open = [...(checks?.values() ?? [])].filter((row) => isOpenCheck(row.fields)).length;
  const unseen = [...(files?.values() ?? [])].filter((row) => !row.fields.read).length;
  return (conflicts?.size ?? 0) + open + unseen;
}

/** All of them. */
export function useToReview(): number {
  return (useStatus()?.rejected ?? 0) + useOpenQuestions();
}

/** The pill that is always in sight; a tap opens Stato. */
export function Pill() {
  const t = words.value;
  const status = useStatus();
  const questions = useOpenQuestions();
  if (status === undefined) return <span class="pill waiting" aria-hidden="true" />;
  const standing = standingOf(status, questions, t);
  const icons = { sent: "sent", unsent: "saved", offline: "offline", person: "alert" } as const;
  return (
    <a class={`pill ${standing.tone}`} href={hrefOf("stato")} title={t.pill.open}>
      <Icon name={icons[standing.tone]} size={16} />
      <span role="status">{standing.text}</span>
    </a>
  );
}

/** A newer build waits: taken by a tap, and not while something is begun. */
function NewVersion() {
  const t = words.value;
  if (!updateWaits.value) return null;
  const take = async () => {
    const { takeUpdate } = await import("../state/worker");
    if (!takeUpdate()) tell(t.status.newVersionBusy, { kind: "trouble" });
  };
  return (
    <div class="note new-version" role="status">
      <Icon name="refresh" />
      <p>{t.status.newVersion}</p>
      <Button onClick={() => void take()}>{t.status.newVersionTake}</Button>
    </div>
  );
}

function Nav() {
  const t = words.value;
  const toReview = useToReview();
  return (
    <nav class="nav" aria-label={t.app.menu}>
      <ul>
        {SECTIONS.filter((one) => one.screen !== "operazioni" || isOwner()).map(({ screen, icon, name, onBar }) => (
          <li key={screen} class={onBar ? undefined : "rail-only"}>
            <a href={hrefOf(screen)} aria-current={route.value.screen === screen ? "page" : undefined}>
              <span class="nav-icon">
                <Icon name={icon} size={24} />
                {screen === "controllo" && toReview > 0 && (
                  <span class="badge" aria-label={t.pill.review(toReview)}>
                    {toReview}
                  </span>
                )}
              </span>
              {screen === "controllo" ? (
                <>
                  <span class="nav-name on-bar" aria-hidden="true">
                    {t.nav.reviewShort}
                  </span>
                  <span class="nav-name on-rail">{name(t)}</span>
                </>
              ) : (
                <span class="nav-name">{name(t)}</span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** `side`: what stays in sight at the right of a till's landscape screen. */
export function Shell({ children, side }: { readonly children: ComponentChildren; readonly side: ComponentChildren }) {
  const t = words.value;
  return (
    <div class="shell">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault(); // the fragment is the address of a screen
          document.getElementById("main")?.focus();
        }}
      >
        {t.app.skip}
      </a>
      <header class="top">
        <span class="top-name">{me.value?.merchant.name ?? t.app.name}</span>
        <Pill />
      </header>
      <Nav />
      <main id="main" tabIndex={-1}>
        <NewVersion />
        {children}
      </main>
      <aside class="side" aria-label={t.sale.slip}>
        {side}
      </aside>
    </div>
  );
}
