import { expect, test, vi } from "vitest";

vi.stubGlobal("location", { origin: "https://shop.example" });
vi.stubGlobal("__FILES__", []);
vi.stubGlobal("__VERSION__", "test");
const { noticeOf } = await import("./notice");

const INVOICE = {
  web_push: 8030,
  notification: {
    title: "Nuova fattura",
    body: "Tocca per leggerla.",
    navigate: "https://shop.example/invoices/018f?x=1#y",
    lang: "it",
    tag: "invoice-1",
    silent: false,
    data: { kind: "invoice", ids: ["018f"] },
  },
  app_badge: 3,
};

test("a declarative message is shown as it says", () => {
  expect(noticeOf(JSON.stringify(INVOICE))).toEqual({
    title: "Nuova fattura",
    options: {
      body: "Tocca per leggerla.",
      tag: "invoice-1",
      silent: false,
      lang: "it",
      data: { kind: "invoice", ids: ["018f"], navigate: "/invoices/018f?x=1#y" },
    },
    badge: 3,
  });
});

test.each([null, "", "{", "null", "5", "[]", '{"web_push": 8029}', '{"web_push":8030,"notification":{"title":""}}'])(
  "%j is told in plain words: every push shows something",
  (text) => {
    const { title, options, badge } = noticeOf(text);
    expect([title, options.body, badge]).toEqual(["rientro", "C’è una novità: tocca per vedere.", null]);
    expect(options.data).toEqual({ navigate: "/" });
  },
);

test.each([
  ["javascript:alert(1)", "/"],
  ["https://elsewhere.example/invoices/1", "/invoices/1"],
  ["//elsewhere.example/x", "/x"],
  [undefined, "/"],
])("%s leads nowhere but to this origin", (navigate, path) => {
  const message = { ...INVOICE, notification: { ...INVOICE.notification, navigate } };
  expect(noticeOf(JSON.stringify(message)).options.data).toMatchObject({ navigate: path });
});

test("a badge that is no count is left out", () => {
  for (const app_badge of [-1, 1.5, "3", null]) expect(noticeOf(JSON.stringify({ ...INVOICE, app_badge })).badge).toBeNull();
});
