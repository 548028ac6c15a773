/** The locked screen: a PIN opens it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { waitMs } from "../pin";
import { theSession } from "../state/shop";
import { Button, Slip } from "../ui/parts";
import { words } from "../words";
import { PinPad } from "./pad";
import { enterPin, kept, removePin } from "./state";

export function LockScreen() {
  const t = words.value;
  const pin = useSignal("");
  const fault = useSignal("");
  const left = useSignal(0);
  useEffect(() => {
    const look = () => (left.value = kept.value === null ? 0 : Math.ceil(waitMs(kept.value, Date.now()) / 1000));
    look();
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, []);
  const enter = async () => {
    const opens = await enterPin(pin.value);
    pin.value = "";
    if (!opens) fault.value = t.lock.wrong;
    if (kept.value !== null) left.value = Math.ceil(waitMs(kept.value, Date.now()) / 1000);
  };
  const forget = async () => {
    removePin();
    await theSession().signOut();
  };
  return (
    <div class="entry">
      <main class="entry-paper" id="main">
        <Slip>
          <div class="form lock">
            <h1>{t.lock.title}</h1>
            <PinPad
              label={t.lock.enter}
              pin={pin.value}
              disabled={left.value > 0}
              onPin={(typed) => (pin.value = typed)}
              onDone={() => void enter()}
            />
            <p class="fault" role="alert">
              {left.value > 0 ? t.lock.wait(left.value) : fault.value}
            </p>
            <details>
              <summary>{t.lock.forgot}</summary>
              <p>{t.lock.forgotText}</p>
              <Button kind="danger" icon="signOut" onClick={() => void forget()}>
                {t.status.signOut}
              </Button>
            </details>
          </div>
        </Slip>
      </main>
    </div>
  );
}
