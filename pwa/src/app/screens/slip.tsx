/** The slip: what is being rung up, and the keys that take the money. Torn off when it is paid. */
import { useSignal } from "@preact/signals";
import { LocalError } from "../../client";
import { EMPTY, changeQuantity, lineCents, ratesOf, removeLine, totalCents, type Line } from "../basket";
import { amount, decimal, money, rate } from "../format";
import { basket, lastSale, nextNumber, sell, undoSale } from "../state/till";
import { me } from "../state/shop";
import { tell } from "../state/toasts";
import { Icon, type IconName } from "../ui/icon";
import { Button, IconButton, Mark, Slip } from "../ui/parts";
import { words } from "../words";

export const METHODS = ["cash", "card", "voucher"] as const;
export const METHOD_ICONS: Readonly<Record<string, IconName>> = { cash: "cash", card: "card", voucher: "ticket" };
const UNDO_MS = 8_000;

/** How a payment method is called; what other tills wrote stands as it is. */
export function methodName(method: string): string {
  const names: Readonly<Record<string, string>> = words.value.sale.methods;
  return names[method] ?? method;
}

export function SlipSide({ onSold }: { readonly onSold?: () => void }) {
  const t = words.value;
  const now = basket.value;
  const busy = useSignal(false);
  const pay = async (method: string) => {
    if (busy.value || basket.value.lines.length === 0) return;
    busy.value = true;
    try {
      await take(method);
      onSold?.();
    } finally {
      busy.value = false;
    }
  };
  if (now.lines.length === 0) return <SlipAtRest />;
  return (
    <div class="slip-side">
      <Slip aria-label={t.sale.slip}>
        <header class="slip-head">
          <h2>{nextNumber.value === null ? t.sale.slip : t.sale.slipNext(String(nextNumber.value))}</h2>
          <Button kind="quiet" onClick={() => (basket.value = EMPTY)}>
            {t.sale.clear}
          </Button>
        </header>
        <ul class="slip-lines">
          {now.lines.map((line) => (
            <SlipLine key={line.key} line={line} />
          ))}
        </ul>
        <div class="slip-sum" aria-live="polite">
          <span>{t.common.total}</span>
          <strong class="figure">{money(totalCents(now))}</strong>
        </div>
        <p class="slip-rates">
          {ratesOf(now).map((one) => (
            <span key={one.rate} class="figure">
              {t.sale.including(rate(one.rate))} {amount(one.vat)}
            </span>
          ))}
        </p>
      </Slip>
      <div class="pay" role="group" aria-label={t.sale.pay}>
        {METHODS.map((method) => (
          <button
            key={method}
            type="button"
            class={`pay-key ${method}`}
            disabled={busy.value}
            aria-label={t.sale.payBy(methodName(method), money(totalCents(now)))}
            onClick={() => void pay(method)}
          >
            <Icon name={METHOD_ICONS[method]!} size={24} />
            <span>{methodName(method)}</span>
          </button>
        ))}
      </div>
    </div>
  );
}

function SlipLine({ line }: { readonly line: Line }) {
  const t = words.value;
  const isLast = Number(line.quantity) <= 1;
  return (
    <li class="slip-line">
      <span class="slip-line-name">{line.name}</span>
      <span class="slip-line-sum figure">{amount(lineCents(line))}</span>
      <span class="slip-line-unit figure">
        {decimal(line.quantity)} × {amount(line.unitCents)}
      </span>
      <span class="stepper">
        <IconButton
          icon={isLast ? "trash" : "minus"}
          label={isLast ? t.sale.take(line.name) : t.sale.less(line.name)}
          onClick={() =>
            (basket.value = isLast ? removeLine(basket.value, line.key) : changeQuantity(basket.value, line.key, "-1"))
          }
        />
        <IconButton
          icon="plus"
          label={t.sale.more(line.name)}
          onClick={() => (basket.value = changeQuantity(basket.value, line.key, "1"))}
        />
      </span>
    </li>
  );
}

/** Nothing is being rung up: the one that was just sold, torn off, or an empty one. */
function SlipAtRest() {
  const t = words.value;
  const last = lastSale.value;
  if (last === null) {
    return (
      <div class="slip-side">
        <Slip>
          <header class="slip-head">
            <h2>{nextNumber.value === null ? t.sale.slip : t.sale.slipNext(String(nextNumber.value))}</h2>
          </header>
          <p class="slip-empty">{me.value === null ? t.sale.noShop : t.sale.slipEmpty}</p>
        </Slip>
      </div>
    );
  }
  return (
    <div class="slip-side">
      <Slip key={last.made.recordId}>
        <div class="torn-off">
          <header class="slip-head">
            <h2>{t.sale.done(String(last.made.number))}</h2>
            <Mark unsent={1} saved={t.common.saved} sent={t.common.sent} bare />
          </header>
          <ul class="slip-lines done">
            {last.basket.lines.map((line) => (
              <li key={line.key} class="slip-line">
                <span class="slip-line-name">
                  {decimal(line.quantity)} × {line.name}
                </span>
                <span class="slip-line-sum figure">{amount(lineCents(line))}</span>
              </li>
            ))}
          </ul>
          <div class="slip-sum">
            <span>{methodName(last.method)}</span>
            <strong class="figure">{money(totalCents(last.basket))}</strong>
          </div>
        </div>
      </Slip>
    </div>
  );
}

async function take(method: string): Promise<void> {
  const t = words.value;
  try {
    const made = await sell(method);
    if (made === null) return tell(t.sale.noShop, { kind: "trouble" });
    const number = String(made.number);
    const undo = () => {
      undoSale(made).then(
        () => tell(t.sale.undone(number)),
        () => tell(t.sale.undoFailed, { kind: "trouble" }),
      );
    };
    tell(`${t.sale.done(number)} · ${t.common.saved}`, { ms: UNDO_MS, action: { label: t.sale.undo, run: undo } });
  } catch (error) {
    if (!(error instanceof LocalError)) throw error;
    tell(t.sale.failed, { kind: "trouble", ms: UNDO_MS });
  }
}
