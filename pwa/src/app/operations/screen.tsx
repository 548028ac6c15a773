/** Operazioni, for the owner: how the connections do, what waits, what is stuck, and the way back for it. Live. */
import { useSignal } from "@preact/signals";
import { route, go } from "../state/route";
import { isOwner } from "../state/shop";
import { Blank, Choice } from "../ui/parts";
import { words } from "../words";
import { Overview } from "./overview";
import { Deliveries, Events, Stuck } from "./queues";
import { RejectedOfAll } from "./rejected";

const TABS = ["overview", "outbox", "inbox", "dead", "refused"] as const;

export function OperationsScreen() {
  const t = words.value;
  const now = TABS.find((one) => one === route.value.rest) ?? "overview";
  const isLive = useSignal(true);
  if (!isOwner()) return <Blank icon="lock" title={t.operations.title} text={t.operations.ownerOnly} />;
  const told = (trouble: boolean) => {
    if (isLive.value === trouble) isLive.value = !trouble;
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1>{t.operations.title}</h1>
        <span class={`tag ${isLive.value ? "do" : "unsent"}`} role="status">
          <span class="live-dot" aria-hidden="true" />
          {isLive.value ? t.operations.live : t.operations.paused}
        </span>
      </header>
      <Choice
        label={t.operations.title}
        of={TABS}
        now={now}
        name={(one) => t.operations[one]}
        onChoose={(one) => go("operazioni", one === "overview" ? "" : one)}
      />
      {now === "overview" && <Overview told={told} />}
      {now === "outbox" && <Deliveries told={told} />}
      {now === "inbox" && <Events told={told} />}
      {now === "dead" && <Stuck told={told} />}
      {now === "refused" && <RejectedOfAll told={told} />}
    </div>
  );
}
