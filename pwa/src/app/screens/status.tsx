/** Stato: what is sent and what is not, and everything about this device. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Entry, Status, StorageUse } from "../../client";
import { databaseName } from "../../client";
import { bytes, dateTime } from "../format";
import { describe } from "../describe";
import { saveFile } from "../files";
import { useLive, useStatus } from "../state/live";
import { go, hrefOf } from "../state/route";
import { isOver, isOwner, theClient, theSession } from "../state/shop";
import { standingOf, waitsTooLong } from "../state/standing";
import { tell } from "../state/toasts";
import { Icon, type IconName } from "../ui/icon";
import { Button, Mark, Note, Pair, Skeleton, Slip } from "../ui/parts";
import { words } from "../words";
import { SectionHere, SectionLook, SectionPin, SectionPush, SectionSignOut, SectionWays } from "./device";

const SHOWN = 20;

export function StatusScreen() {
  const t = words.value;
  const status = useStatus();
  if (status === undefined) return <Skeleton rows={6} label={t.state.loading} />;
  return (
    <div class="page columns">
      <h1>{t.status.title}</h1>
      <div class="column">
        <Headline status={status} />
        <Queue status={status} />
        <Copy status={status} />
      </div>
      <div class="column">
        <SectionHere />
        <SectionLook />
        <SectionPin />
        <SectionPush />
        <SectionWays />
        {isOwner() && (
          <a class="button plain wide narrow-only" href={hrefOf("operazioni")}>
            <Icon name="ops" />
            {t.nav.operations}
          </a>
        )}
        <SectionSignOut status={status} />
      </div>
    </div>
  );
}

function Headline({ status }: { readonly status: Status }) {
  const t = words.value;
  const { tone } = standingOf({ ...status, rejected: 0 }, 0, t); // what is to be reviewed stands below
  const [title, text, icon] = headlineOf(status);
  return (
    <section class={`headline ${tone}`}>
      <Icon name={icon} size={32} />
      <div>
        <h2>{title}</h2>
        <p>{text}</p>
      </div>
      {(isOver.value || status.code === "signed_out") && (
        <Button kind="do" icon="key" onClick={() => void theSession().signOut()}>
          {t.status.signInAgain}
        </Button>
      )}
      {(status.state === "held_update_needed" || status.updateNeeded) && (
        <Button kind="do" icon="refresh" onClick={() => location.reload()}>
          {t.status.reload}
        </Button>
      )}
      {(status.state === "idle" || status.state === "backing_off" || status.state === "syncing") && (
        <Button icon="refresh" busy={status.state === "syncing"} onClick={() => theClient().wake()}>
          {t.status.syncNow}
        </Button>
      )}
    </section>
  );
}

function headlineOf(status: Status): readonly [string, string, IconName] {
  const t = words.value.status;
  if (status.state === "held_signed_out") {
    if (status.code === "tenant_gone") return [t.headlineSaved(status.pending), t.textGone, "alert"];
    if (status.code === "signed_out" || status.code === null)
      return [t.headlineSaved(status.pending), t.textSignIn, "key"];
    return [t.headlineSaved(status.pending), t.textRefused, "alert"];
  }
  if (status.state === "held_update_needed" || status.updateNeeded)
    return [words.value.pill.update, t.textUpdate, "refresh"];
  if (status.state === "backing_off") return [t.headlineOffline, t.textOffline, "offline"];
  if (status.pending > 0) return [t.headlineSaved(status.pending), t.textSaved, "saved"];
  return [t.headlineSent, t.textSent, "sent"];
}

function Queue({ status }: { readonly status: Status }) {
  const t = words.value;
  const pending = useLive(() => theClient().liveEntries("pending"));
  const now = Date.now();
  const exported = async (format: "json" | "csv") =>
    saveFile(`rientro-da-inviare.${format}`, await theClient().exportEntries(format, "pending", "waiting"));
  return (
    <Slip aria-label={t.status.queue}>
      <header class="slip-head">
        <h2>{t.status.queue}</h2>
        <span class="figure strong-figure">{status.pending}</span>
      </header>
      {waitsTooLong(status, now) && <Note text={t.status.oldWarning} />}
      {status.pending === 0 && <p class="slip-empty">{t.status.queueEmpty}</p>}
      <ul class="entries">
        {(pending ?? []).slice(0, SHOWN).map((entry) => (
          <EntryRow key={entry.uid} entry={entry} />
        ))}
      </ul>
      {(pending?.length ?? 0) > SHOWN && <p class="hint">+ {(pending?.length ?? 0) - SHOWN}</p>}
      {status.waiting > 0 && <p class="hint">{t.status.queueWaiting(status.waiting)}</p>}
      {status.pending > 0 && (
        <div class="row-do">
          <Button kind="quiet" icon="download" onClick={() => void exported("json")}>
            {t.review.exportJson}
          </Button>
          <Button kind="quiet" icon="download" onClick={() => void exported("csv")}>
            {t.review.exportCsv}
          </Button>
        </div>
      )}
    </Slip>
  );
}

function EntryRow({ entry }: { readonly entry: Entry }) {
  const t = words.value;
  return (
    <li class="entry-row">
      <span>{describe(entry, t)}</span>
      <span class="hint figure">{dateTime(entry.madeAt, t.locale)}</span>
      <Mark unsent={1} saved={t.common.saved} sent={t.common.sent} bare />
    </li>
  );
}

function Copy({ status }: { readonly status: Status }) {
  const t = words.value;
  const storage = useSignal<StorageUse | null>(null);
  const others = useSignal(false);
  const look = async () => {
    storage.value = await theClient().storage();
    const current = theSession().current;
    const { databasesNamed } = await import("../../client/dexie");
    const names = await databasesNamed("rientro/").catch(() => []);
    others.value = current !== null && names.some((name) => name !== databaseName(current));
  };
  useEffect(() => void look().catch(() => undefined), [status.pending]);
  const persist = async () => {
    if (!(await theClient().persist())) tell(t.status.persistRefused, { kind: "trouble" });
    await look();
  };
  const use = storage.value;
  return (
    <Slip>
      <Pair name={t.status.lastExchange}>
        {status.lastExchangeAt === null ? t.status.never : dateTime(status.lastExchangeAt, t.locale)}
      </Pair>
      <Pair name={t.status.digest}>{digestText(status)}</Pair>
      <Pair name={t.status.storage}>
        {use === null || use.usage === null
          ? "…"
          : t.status.storageOf(bytes(use.usage, t.locale), bytes(use.quota ?? 0, t.locale))}
      </Pair>
      <p class="hint">{use?.persisted === true ? t.status.persisted : t.status.notPersisted}</p>
      {use?.persisted === false && (
        <Button icon="saved" wide onClick={() => void persist()}>
          {t.status.persist}
        </Button>
      )}
      {others.value && <Note text={t.status.otherQueues} />}
      {status.rejected > 0 && (
        <Button icon="check" wide onClick={() => go("controllo")}>
          {t.pill.review(status.rejected)}
        </Button>
      )}
    </Slip>
  );
}

function digestText(status: Status): string {
  const t = words.value.status;
  if (!status.complete) return t.digestUnknown;
  return status.differences === 0 ? t.digestOk : t.digestDiffers(status.differences);
}
