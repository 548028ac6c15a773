/** Choosing a PIN: twice the same, and not one that everybody tries first. */
import { useSignal } from "@preact/signals";
import { faultOf } from "../pin";
import { tell } from "../state/toasts";
import { Dialog } from "../ui/dialog";
import { words } from "../words";
import { PinPad } from "./pad";
import { setPin } from "./state";

export function PinDialog({ onClose }: { readonly onClose: () => void }) {
  const t = words.value;
  const first = useSignal<string | null>(null);
  const pin = useSignal("");
  const fault = useSignal("");
  const done = async () => {
    const typed = pin.value;
    pin.value = "";
    const wrong = faultOf(typed);
    if (first.value === null) {
      fault.value = wrong === null ? "" : t.lock[wrong];
      if (wrong === null) first.value = typed;
      return;
    }
    if (typed !== first.value) {
      first.value = null;
      fault.value = t.lock.different;
      return;
    }
    await setPin(typed);
    tell(t.lock.saved);
    onClose();
  };
  return (
    <Dialog title={t.status.pinTitle} onClose={onClose}>
      <PinPad
        label={first.value === null ? t.lock.choose : t.lock.repeat}
        pin={pin.value}
        onPin={(typed) => (pin.value = typed)}
        onDone={() => void done()}
      />
      <p class="fault" role="alert">
        {fault.value}
      </p>
    </Dialog>
  );
}
