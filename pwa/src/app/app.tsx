/** The app: inside or outside, and which screen. Screens that a till does not need to sell are loaded when opened. */
import { useEffect } from "preact/hooks";
import { isLocked } from "./lock/state";
import { opened, route, type Screen } from "./state/route";
import { broken, me, shop, stage } from "./state/shop";
import { openTill } from "./state/till";
import { SaleScreen } from "./screens/sale";
import { SlipSide } from "./screens/slip";
import { Blank, Button } from "./ui/parts";
import { lazy } from "./ui/lazy";
import { Shell } from "./ui/shell";
import { ToastPlace } from "./ui/toast";
import { words } from "./words";
import { StoreTooNewError } from "../client";

const Entry = lazy(async () => (await import("./entry/entry")).Entry);
const LockScreen = lazy(async () => (await import("./lock/screen")).LockScreen);
const SCREENS: Readonly<Record<Screen, preact.ComponentType>> = {
  vendita: SaleScreen,
  oggi: lazy(async () => (await import("./screens/today")).TodayScreen),
  fatture: lazy(async () => (await import("./screens/invoices")).InvoicesScreen),
  rubrica: lazy(async () => (await import("./screens/archive")).ArchiveScreen),
  controllo: lazy(async () => (await import("./screens/review")).ReviewScreen),
  stato: lazy(async () => (await import("./screens/status")).StatusScreen),
  operazioni: lazy(async () => (await import("./operations/screen")).OperationsScreen),
};

export function App() {
  return (
    <>
      <Inner />
      <ToastPlace />
    </>
  );
}

function Inner() {
  if (stage.value === "opening") return <Opening />;
  if (stage.value === "broken") return <Broken />;
  if (stage.value === "outside" || (opened.value !== null && opened.value.kind !== "back")) return <Entry />;
  if (isLocked.value) return <LockScreen />;
  return <Inside />;
}

function Inside() {
  const owner = shop.value?.owner;
  const known = me.value !== null;
  useEffect(() => void openTill().catch(() => undefined), [owner, known]);
  const Now = SCREENS[route.value.screen];
  useEffect(() => {
    document.title = `${titleOf(route.value.screen)} · rientro`;
  });
  return (
    <Shell side={<SlipSide />}>
      <Now key={route.value.screen} />
    </Shell>
  );
}

function titleOf(screen: Screen): string {
  const { nav } = words.value;
  const names: Readonly<Record<Screen, string>> = {
    vendita: nav.sale,
    oggi: nav.today,
    fatture: nav.invoices,
    rubrica: nav.archive,
    controllo: nav.review,
    stato: nav.status,
    operazioni: nav.operations,
  };
  return names[screen];
}

function Opening() {
  return (
    <div class="opening" role="status">
      <span class="unseen">{words.value.app.loading}</span>
    </div>
  );
}

/** This browser keeps no data, or a newer app wrote it. */
function Broken() {
  const t = words.value;
  const text = broken.value instanceof StoreTooNewError ? t.status.textUpdate : t.state.errorText;
  return (
    <main class="opening">
      <Blank icon="alert" title={t.state.errorTitle} text={text} tone="trouble">
        <Button kind="do" icon="refresh" onClick={() => location.reload()}>
          {t.status.reload}
        </Button>
      </Blank>
    </main>
  );
}
