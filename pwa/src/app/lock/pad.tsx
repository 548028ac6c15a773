/** Ten keys for a PIN; a keyboard types it, too. */
import { useEffect } from "preact/hooks";
import { Icon } from "../ui/icon";
import { words } from "../words";

const LONGEST = 8;

interface Props {
  readonly label: string;
  readonly pin: string;
  readonly disabled?: boolean;
  readonly onPin: (pin: string) => void;
  readonly onDone: () => void;
}

export function PinPad({ label, pin, disabled = false, onPin, onDone }: Props) {
  const t = words.value;
  const add = (digit: string) => !disabled && pin.length < LONGEST && onPin(pin + digit);
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if (/^\d$/.test(event.key)) add(event.key);
      else if (event.key === "Backspace") onPin(pin.slice(0, -1));
      else if (event.key === "Enter" && event.target === document.body && pin !== "") onDone();
    };
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  });
  return (
    <div class="pad" role="group" aria-label={label}>
      <p class="pad-dots" role="status" aria-label={t.lock.digits(pin.length)}>
        {Array.from({ length: Math.max(4, pin.length) }, (_, at) => (
          <span key={at} class={at < pin.length ? "dot full" : "dot"} />
        ))}
      </p>
      <p class="hint">{label}</p>
      <div class="pad-keys">
        {["1", "2", "3", "4", "5", "6", "7", "8", "9"].map((digit) => (
          <button key={digit} type="button" disabled={disabled} onClick={() => add(digit)}>
            {digit}
          </button>
        ))}
        <button type="button" aria-label={t.lock.erase} onClick={() => onPin(pin.slice(0, -1))}>
          <Icon name="back" />
        </button>
        <button type="button" disabled={disabled} onClick={() => add("0")}>
          0
        </button>
        <button
          type="button"
          class="pad-done"
          aria-label={t.common.confirm}
          disabled={disabled || pin.length < 4}
          onClick={onDone}
        >
          <Icon name="sent" />
        </button>
      </div>
    </div>
  );
}
