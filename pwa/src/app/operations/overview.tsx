/** The overview: both queues over the last day, and every connection's health. */
import { useEffect } from "preact/hooks";
import { dateTime, roughly, time } from "../format";
import { useToReview } from "../ui/shell";
import { Icon, type IconName } from "../ui/icon";
import { Blank, Pair, Skeleton, Slip } from "../ui/parts";
import { words } from "../words";
import { useAsked, type Account, type Depth, type Depths, type Health, type Integration } from "./ask";
import { Plot } from "./plot";
import { Trouble } from "./queues";

const HEALTH_ICONS: Readonly<Record<string, IconName>> = {
  ok: "sent",
  degraded: "alert",
  down: "offline",
  paused: "pause",
  unknown: "help",
};
const HEALTH_TONES: Readonly<Record<string, string>> = {
  ok: "do",
  degraded: "unsent",
  down: "person",
  paused: "",
  unknown: "",
};

interface Props {
  readonly told: (trouble: boolean) => void;
}

export function Overview({ told }: Props) {
  const t = words.value;
  const depths = useAsked<Depths>("/v1/operations/depths?hours=24");
  const health = useAsked<Health>("/health/integrations");
  const toReview = useToReview();
  const trouble = depths.asked.value.trouble;
  useEffect(() => told(trouble !== "none"), [trouble]);
  const known = depths.asked.value.value;
  return (
    <>
      {known === undefined && trouble === "none" && <Skeleton rows={4} label={t.state.loading} />}
      {known === undefined && trouble !== "none" && <Trouble kind={trouble} again={depths.again} />}
      {known !== undefined && (
        <div class="plots">
          <Both name={t.operations.outbox} at={known.at} depth={known.outbox} />
          <Both name={t.operations.inbox} at={known.at} depth={known.inbox} />
        </div>
      )}
      <Pair name={t.operations.conflictsOpen}>{toReview}</Pair>
      <h2>{t.operations.integrations}</h2>
      <Integrations all={health.asked.value.value?.integrations} />
    </>
  );
}

function Both({ name, at, depth }: { readonly name: string; readonly at: readonly string[]; readonly depth: Depth }) {
  const t = words.value;
  const when = (instant: string) => time(instant, t.locale);
  return (
    <Slip aria-label={name}>
      <h2>{name}</h2>
      <Plot title={t.operations.waiting} values={depth.waiting} at={at} name={String} when={when} />
      <Plot
        title={t.operations.oldest}
        values={depth.oldest_s}
        at={at}
        name={(seconds) => roughly(seconds, t.locale)}
        when={when}
      />
    </Slip>
  );
}

function Integrations({ all }: { readonly all: readonly Integration[] | undefined }) {
  const t = words.value;
  if (all === undefined) return <Skeleton rows={3} label={t.state.loading} />;
  const used = all.filter((one) => one.accounts.length > 0);
  if (used.length === 0)
    return <Blank icon="plug" title={t.operations.noIntegrations} text={t.operations.noIntegrationsText} />;
  return (
    <div class="cards">
      {used.flatMap((one) =>
        one.accounts.map((account) => <AccountCard key={account.endpoint_id} name={one.name} account={account} />),
      )}
    </div>
  );
}

function AccountCard({ name, account }: { readonly name: string; readonly account: Account }) {
  const t = words.value;
  const when = (instant: string | null) => (instant === null ? t.status.never : dateTime(instant, t.locale));
  return (
    <Slip aria-label={`${name} ${account.endpoint_id.slice(-6)}`}>
      <header class="slip-head">
        <h2>{name.toUpperCase()}</h2>
        <HealthTag status={account.status} />
      </header>
      <Pair name={t.operations.lastSuccess}>{when(account.last_success_at)}</Pair>
      <Pair name={t.operations.lastWebhook}>{when(account.last_webhook_at)}</Pair>
      {account.last_failure_at !== null && (
        <Pair name={t.operations.lastFailure}>
          {when(account.last_failure_at)}
          {account.last_error !== null && <span class="hint"> {account.last_error}</span>}
        </Pair>
      )}
      {account.breaker !== "closed" && (
        <Pair name={t.operations.breaker}>{t.operations.breakers[account.breaker] ?? account.breaker}</Pair>
      )}
      {account.polls_failed_in_a_row > 0 && <Pair name={t.operations.polls}>{account.polls_failed_in_a_row}</Pair>}
      <Pair name={t.operations.outbox}>{account.outbox.waiting}</Pair>
      <Pair name={t.operations.inbox}>{account.inbox.waiting}</Pair>
      <Pair name={t.operations.dead}>
        {account.outbox.dead + (account.outbox.in_doubt ?? 0) + account.inbox.dead + (account.inbox.quarantined ?? 0)}
      </Pair>
      {(account.webhooks_refused_today ?? 0) > 0 && (
        <Pair name={t.operations.refusedToday}>{account.webhooks_refused_today}</Pair>
      )}
    </Slip>
  );
}

function HealthTag({ status }: { readonly status: string }) {
  return (
    <span class={`tag ${HEALTH_TONES[status] ?? ""}`}>
      <Icon name={HEALTH_ICONS[status] ?? "help"} size={16} />
      {words.value.operations.health[status] ?? status}
    </span>
  );
}
