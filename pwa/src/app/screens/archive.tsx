/** Rubrica: products and customers, searched and edited; a till reads. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import type { Customer, Product, ViewRecord } from "../../client";
import { decimal, rate, wireMoney } from "../format";
import { useRecords, useStatus } from "../state/live";
import { go, hrefOf, route } from "../state/route";
import { mayEdit } from "../state/shop";
import { Icon } from "../ui/icon";
import { Blank, Button, Choice, Mark, Search, Skeleton } from "../ui/parts";
import { words } from "../words";
import { CustomerForm } from "./customer";
import { ProductForm } from "./product";
import { plain } from "./sale";

const KINDS = ["prodotti", "clienti"] as const;
const NEW = "nuovo";
const AT_ONCE = 80;

export function ArchiveScreen() {
  const [kind = "prodotti", id = ""] = route.value.rest.split("/");
  const now = kind === "clienti" ? "clienti" : "prodotti";
  return now === "clienti" ? <Customers key="c" id={id} /> : <Products key="p" id={id} />;
}

function Products({ id }: { readonly id: string }) {
  const t = words.value;
  const products = useRecords("products");
  const all = useMemo(() => sorted(products), [products]);
  const open = products?.get(id);
  return (
    <Archive
      kind="prodotti"
      id={id}
      all={all}
      haystack={(one: Product) => `${one.name} ${one.category ?? ""} ${one.barcode ?? ""}`}
      search={t.archive.searchProducts}
      empty={[t.archive.emptyProductsTitle, t.archive.emptyProductsText]}
      create={t.archive.newProduct}
      row={(one) => (
        <>
          <span class="row-main">
            <span class="row-title">
              {one.fields.name}
              {!one.fields.active && <span class="tag">{t.archive.inactive}</span>}
            </span>
            <span class="hint">
              {[one.fields.category, rate(one.fields.vat_rate), `${t.archive.stock} ${decimal(one.fields.stock)}`]
                .filter(Boolean)
                .join(" · ")}
            </span>
          </span>
          <span class="row-sum figure">{wireMoney(one.fields.price)}</span>
        </>
      )}
    >
      {id === NEW || open !== undefined ? <ProductForm key={id} row={open ?? null} /> : null}
    </Archive>
  );
}

function Customers({ id }: { readonly id: string }) {
  const t = words.value;
  const customers = useRecords("customers");
  const all = useMemo(() => sorted(customers), [customers]);
  const open = customers?.get(id);
  return (
    <Archive
      kind="clienti"
      id={id}
      all={all}
      haystack={(one: Customer) => `${one.name} ${one.phone ?? ""} ${one.email ?? ""} ${one.vat_number ?? ""}`}
      search={t.archive.searchCustomers}
      empty={[t.archive.emptyCustomersTitle, t.archive.emptyCustomersText]}
      create={t.archive.newCustomer}
      row={(one) => (
        <span class="row-main">
          <span class="row-title">{one.fields.name}</span>
          <span class="hint">
            {[one.fields.phone, one.fields.email, one.fields.vat_number].filter(Boolean).join(" · ") || "—"}
          </span>
        </span>
      )}
    >
      {id === NEW || open !== undefined ? <CustomerForm key={id} row={open ?? null} /> : null}
    </Archive>
  );
}

interface ArchiveProps<R> {
  readonly kind: (typeof KINDS)[number];
  readonly id: string;
  readonly all: readonly ViewRecord<R>[] | undefined;
  readonly haystack: (one: R) => string;
  readonly search: string;
  readonly empty: readonly [string, string];
  readonly create: string;
  readonly row: (one: ViewRecord<R>) => ComponentChildren;
  readonly children: ComponentChildren;
}

function Archive<R>({ kind, id, all, haystack, search, empty, create, row, children }: ArchiveProps<R>) {
  const t = words.value;
  const status = useStatus();
  const text = useSignal("");
  const count = useSignal(AT_ONCE);
  if (all === undefined) return <Skeleton rows={8} label={t.state.loading} />;
  const shown = all.filter((one) => text.value === "" || plain(haystack(one.fields)).includes(plain(text.value)));
  return (
    <div class={`split${id === "" ? "" : " opened"}`}>
      <h1 class="unseen">{t.archive.title}</h1>
      <section class="split-list">
        <header class="page-head">
          <p class="page-title" aria-hidden="true">
            {t.archive.title}
          </p>
          {mayEdit() && (
            <Button icon="plus" onClick={() => go("rubrica", `${kind}/${NEW}`)}>
              {create}
            </Button>
          )}
        </header>
        <div class="form">
          <Choice
            label={t.archive.title}
            of={KINDS}
            now={kind}
            name={(one) => (one === "prodotti" ? t.archive.products : t.archive.customers)}
            onChoose={(one) => go("rubrica", one)}
          />
          {all.length > 0 && <Search label={search} text={text.value} onText={(said) => (text.value = said)} />}
        </div>
        {all.length === 0 &&
          (status?.complete === false ? (
            <Blank icon="offline" title={t.state.notYetTitle} text={t.state.notYetText} />
          ) : (
            <Blank icon={kind === "clienti" ? "user" : "box"} title={empty[0]} text={empty[1]} />
          ))}
        {all.length > 0 && shown.length === 0 && (
          <Blank icon="search" title={t.state.nothingFound} text={t.state.nothingFoundText(text.value)} />
        )}
        <ul class="rows paper-rows">
          {shown.slice(0, count.value).map((one) => (
            <li key={one.recordId}>
              <a
                class="row"
                href={hrefOf("rubrica", `${kind}/${one.recordId}`)}
                aria-current={one.recordId === id ? "true" : undefined}
              >
                {row(one)}
                {one.unsent > 0 && <Mark unsent={one.unsent} saved={t.common.saved} sent={t.common.sent} bare />}
                <Icon name="next" />
              </a>
            </li>
          ))}
        </ul>
        {shown.length > count.value && (
          <Button kind="quiet" wide onClick={() => (count.value += AT_ONCE)}>
            {t.common.more}
          </Button>
        )}
      </section>
      <section class="split-open">
        {id !== "" && (
          <a class="button quiet back" href={hrefOf("rubrica", kind)}>
            <Icon name="back" />
            {t.archive.title}
          </a>
        )}
        {children}
        {id === "" && all.length > 0 && (
          <Blank icon="book" title={t.archive.choose} text={mayEdit() ? "" : t.archive.readOnly} />
        )}
      </section>
    </div>
  );
}

function sorted<R extends { readonly name: string }>(rows: ReadonlyMap<string, ViewRecord<R>> | undefined) {
  if (rows === undefined) return undefined;
  return [...rows.values()].sort((one, other) => one.fields.name.localeCompare(other.fields.name, "it"));
}
