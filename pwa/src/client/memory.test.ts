import { memoryStore } from "./memory";
import { storeSuite } from "./store.suite";

storeSuite("in memory", memoryStore);
