// A certified OpenID provider as a process: refresh tokens rotate, and one that is used twice takes its whole grant
// with it. `node oidc.mjs PORT`. Beside the provider's own addresses:
//
//   GET  /health/live   200
//   GET  /counts        {"refreshed": …, "errors": {"invalid_grant": …}}: what its own events say
//   POST /hook          200 for a live access token, else 401
import Provider from "oidc-provider";
import http from "node:http";

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const stored = new Map();

// The built-in store forgets what is old when it is full, which would look like a revoked grant.
class Memory {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) {
    stored.set(this.key(id), payload);
    if (payload.uid) stored.set(`uid:${payload.uid}`, id);
    if (payload.grantId) stored.set(`grant:${payload.grantId}`, [...(stored.get(`grant:${payload.grantId}`) ?? []), this.key(id)]);
  }
  async find(id) { return stored.get(this.key(id)); }
  async findByUid(uid) { return this.find(stored.get(`uid:${uid}`)); }
  async findByUserCode() { return undefined; }
  async consume(id) { stored.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { stored.delete(this.key(id)); }
  async revokeByGrantId(grantId) { for (const key of stored.get(`grant:${grantId}`) ?? []) stored.delete(key); }
}

const provider = new Provider(issuer, {
  adapter: Memory,
  clients: [
    {
      client_id: "rientro",
      client_secret: "secret of+the/client=",
      redirect_uris: ["http://127.0.0.1:1/v1/oauth/callback"],
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      scope: "openid offline_access",
    },
  ],
  features: { devInteractions: { enabled: true }, clientCredentials: { enabled: true } },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600, ClientCredentials: 600 },
  cookies: { keys: ["for tests only"] },
});

const counts = { refreshed: 0, errors: {} };
provider.on("grant.success", (ctx) => { if (ctx.oidc.params.grant_type === "refresh_token") counts.refreshed += 1; });
provider.on("grant.error", (_ctx, error) => { counts.errors[error.message] = (counts.errors[error.message] ?? 0) + 1; });

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

const provided = provider.callback();
http.createServer(async (request, response) => {
  if (request.url === "/health/live") return answer(response, 200, {});
  if (request.url === "/counts") return answer(response, 200, counts);
  if (request.url === "/hook") {
    request.resume();
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    const known = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
    return answer(response, known?.isValid ? 200 : 401, {});
  }
  return provided(request, response);
}).listen(port, "127.0.0.1");
