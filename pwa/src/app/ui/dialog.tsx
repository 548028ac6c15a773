/** A dialog over the screen: the browser's own, so that focus stays in it, Escape closes it, and focus goes back. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { words } from "../words";
import { IconButton } from "./parts";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  /** From the bottom on a phone, as a slip is pulled up. */
  readonly sheet?: boolean;
}

export function Dialog({ title, onClose, children, sheet }: Props) {
  const place = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    place.current?.showModal();
  }, []);
  return (
    <dialog
      ref={place}
      class={`dialog${sheet === true ? " sheet" : ""}`}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === place.current && onClose()}
    >
      <div class="dialog-paper">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label={words.value.common.close} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
