// A certified OpenID provider of people as a process; its keys and accounts are what a test gives it, so that a test can
// sign what this provider never would, roll keys over, and take a role away. `node people.mjs PORT`. Beside the
// provider's own addresses:
//
//   GET  /health/live   200
//   POST /keys          a private JWK set, the newest first: signs with it from now on; nobody is signed in any more
//   POST /accounts      {"mario": {"role": …}}: what tokens say of each
//   GET  /counts        {"discovery": …, "keys": …}: how often each was fetched
import Provider from "oidc-provider";
import http from "node:http";

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const audience = "https://shop.example/api";
const redirects = ["http://127.0.0.1:1/v1/auth/oidc/callback"];
const counts = { discovery: 0, keys: 0 };
const published = { "/.well-known/openid-configuration": "discovery", "/jwks": "keys" };
let accounts = {};
let provided = (_request, response) => answer(response, 503, {});

function provide(jwks) {
  const provider = new Provider(issuer, {
    jwks,
    clients: [
      { client_id: "rientro", client_secret: "secret of+the/client=", redirect_uris: redirects },
      { client_id: "kiosk", token_endpoint_auth_method: "none", redirect_uris: redirects },
    ],
    claims: { openid: ["sub", "merchant", "role", "shop", "name"] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
    extraTokenClaims: (_ctx, token) => accounts[token.accountId],
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: "api", audience, accessTokenFormat: "jwt" }),
      },
    },
    pkce: { required: () => true },
    ttl: { AccessToken: 3600, Grant: 3600, IdToken: 3600, Interaction: 600, Session: 600 },
    cookies: { keys: ["for tests only"] },
  });
  return provider.callback();
}

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function read(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
}

http.createServer(async (request, response) => {
  if (request.url === "/health/live") return answer(response, 200, {});
  if (request.url === "/counts") return answer(response, 200, counts);
  if (request.method === "POST" && request.url === "/keys") {
    provided = provide(await read(request));
    return answer(response, 200, {});
  }
  if (request.method === "POST" && request.url === "/accounts") {
    accounts = await read(request);
    return answer(response, 200, {});
  }
  if (request.url in published) counts[published[request.url]] += 1;
  return provided(request, response);
}).listen(port, "127.0.0.1");
