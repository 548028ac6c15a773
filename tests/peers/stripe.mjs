// Starts stripe-stateful-mock for tests, on the port given: `node stripe.mjs PORT`. It is the package's own application,
// and says that it is there.
import http from "node:http";
import mock from "stripe-stateful-mock";

const app = mock.createExpressApp();
http
  .createServer((request, response) => {
    if (request.url === "/health/live") return response.end("{}");
    return app(request, response);
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
