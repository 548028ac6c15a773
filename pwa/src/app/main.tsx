/** Where the app starts: words and colours first, then what was open before; the network is not waited for. */
import { render } from "preact";
import { App } from "./app";
import { lockAsBefore } from "./lock/state";
import { followAddress, opened } from "./state/route";
import { openShop } from "./state/shop";
import { paintAsBefore } from "./state/theme";
import { speakAsBefore } from "./words";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/shell.css";
import "./styles/sale.css";
import "./styles/screens.css";

paintAsBefore();
followAddress();
const place = document.getElementById("app");
if (place !== null) render(<App />, place);
await speakAsBefore();
await openShop(opened.value?.kind === "back");
lockAsBefore();
void import("./state/worker").then(({ startWorker }) => startWorker());
