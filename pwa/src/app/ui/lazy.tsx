/** Screens that are loaded when they are first opened; a failed loading can be tried again. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { words } from "../words";
import { Blank, Button, Skeleton } from "./parts";

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let known: ComponentType<P> | null = null;
  return function Lazy(given: P) {
    const [found, setFound] = useState<{ readonly part: ComponentType<P> | null; readonly failed: boolean }>({
      part: known,
      failed: false,
    });
    const fetch = () => {
      setFound({ part: known, failed: false });
      load().then(
        (part) => {
          known = part;
          setFound({ part, failed: false });
        },
        () => setFound({ part: null, failed: true }),
      );
    };
    useEffect(() => {
      if (known === null) fetch();
    }, []);
    const t = words.value;
    const Part = found.part;
    if (Part !== null) return <Part {...given} />;
    if (!found.failed) return <Skeleton rows={6} label={t.state.loading} />;
    return (
      <Blank icon="offline" title={t.state.offlineTitle} text={t.state.errorText} tone="trouble">
        <Button icon="refresh" onClick={fetch}>
          {t.common.retry}
        </Button>
      </Blank>
    );
  };
}
