/** Where toasts are shown; screen readers are told of each. */
import { endToast, toast } from "../state/toasts";
import { Icon } from "./icon";

export function ToastPlace() {
  const shown = toast.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown !== null && (
        <div class={`toast ${shown.kind}`} key={shown.id}>
          <Icon name={shown.kind === "done" ? "sent" : "alert"} />
          <span class="toast-text">{shown.text}</span>
          {shown.action !== undefined && (
            <button
              type="button"
              class="toast-action"
              onClick={() => {
                endToast(shown.id);
                shown.action?.run();
              }}
            >
              <Icon name="undo" />
              {shown.action.label}
            </button>
          )}
          {shown.action !== undefined && (
            <svg class="toast-left" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 1">
              <rect width="100" height="1" style={{ animationDuration: `${shown.ms}ms` }} />
            </svg>
          )}
        </div>
      )}
    </div>
  );
}
