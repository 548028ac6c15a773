// A push service as a process: npm web-push-testing, which checks our token and decrypts what comes, and before it a
// script of bad days. `node push.mjs PORT`. Beside the service's own addresses:
//
//   GET  /health/live   200
//   POST /script        [{"status": 429, "headers": {…}, "after": true}, …]: the answers to the next messages; "after":
//                       the message arrives all the same
//   POST /requests      {}: the headers of all messages that came, in order, and forgets them
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { PushApiModel } = require("web-push-testing/src/PushApiModel.js");
const Server = require("web-push-testing/src/server.js");

const server = new Server(new PushApiModel(), Number(process.argv[2]));
let script = [];
let requests = [];

server._app.get("/health/live", (_request, response) => response.sendStatus(200));
server._app.post("/script", (request, response) => {
  script = request.body;
  response.send({});
});
server._app.post("/requests", (_request, response) => {
  response.send(requests);
  requests = [];
});
server._app.use("/notify", (request, response, next) => {
  requests.push({ ...request.headers, path: request.path });
  const scripted = script.shift();
  if (scripted === undefined) return next();
  const answer = () => response.set(scripted.headers ?? {}).status(scripted.status).send("");
  if (!scripted.after) return answer();
  response.send = () => {
    delete response.send;
    return answer();
  };
  return next();
});
server.startServer();
