/** Deleting a card: asked for once more, and taken back as long as the toast is there. */
import { useSignal } from "@preact/signals";
import { go } from "../state/route";
import { theClient } from "../state/shop";
import { tell } from "../state/toasts";
import { Button } from "../ui/parts";
import { words } from "../words";

interface Props {
  readonly collection: "products" | "customers";
  readonly id: string;
  readonly name: string;
  readonly back: string;
}

export function DeleteKey({ collection, id, name, back }: Props) {
  const t = words.value;
  const asked = useSignal(false);
  const remove = async () => {
    const client = theClient();
    await client.delete(collection, id);
    go("rubrica", back);
    tell(t.archive.deleted(name), {
      ms: 8_000,
      action: { label: t.sale.undo, run: () => void client.restore(collection, id) },
    });
  };
  if (!asked.value) {
    return (
      <div class="row-do">
        <Button kind="quiet" icon="trash" onClick={() => (asked.value = true)}>
          {t.common.delete}
        </Button>
      </div>
    );
  }
  return (
    <div class="row-do" role="alert">
      <p class="across-row">{t.archive.deleteAsk(name)}</p>
      <Button onClick={() => (asked.value = false)}>{t.common.no}</Button>
      <Button kind="danger" icon="trash" onClick={() => void remove()}>
        {t.common.delete}
      </Button>
    </div>
  );
}
