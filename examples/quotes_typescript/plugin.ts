// A plugin in TypeScript: the Connect protocol's unary calls over Node's own HTTP server, without any dependency.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";

type Code = "invalid_argument" | "not_found" | "unimplemented" | "internal" | "deadline_exceeded" | "resource_exhausted";
type Context = { headers: IncomingHttpHeaders; signal: AbortSignal };
type Method = (request: any, context: Context) => unknown;

class ConnectError extends Error {
  code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

// What the service does.

type Author = { author: string };
type Quote = { author: string; text: string };

const quotes = new Map<string, string>([
  ["Aristotle", "Some call it the ship-holder."],
  ["Pliny", "It holds back all their might without an effort."],
]);

const methods: Record<string, Method> = {
  find({ author }: Author): Quote {
    const text = quotes.get(author);
    if (text === undefined) throw new ConnectError("not_found", `nobody quotes ${author}`);
    return { author, text };
  },

  authors(): { names: string[] } {
    return { names: [...quotes.keys()] };
  },

  // Takes longer than anyone waits; the signal tells it when the caller has gone, or its time is over.
  search(_request: object, { signal }: Context): Promise<never> {
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  },
};

// What makes it a Connect server.

const SERVICE = "quotes.v1.Quotes";
const LONGEST = 16 * 1024 * 1024;
const STATUS: Record<Code, number> = {
  invalid_argument: 400, not_found: 404, unimplemented: 501, internal: 500, deadline_exceeded: 504, resource_exhausted: 429,
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const name = request.url?.startsWith(`/${SERVICE}/`) ? request.url.slice(SERVICE.length + 2) : "";
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (!method) throw new ConnectError("unimplemented", `there is no method ${request.url}`);
    const reply = await method(await payload(request), { headers: request.headers, signal: ending(request, response) });
    send(response, 200, reply);
  } catch (error) {
    const { code, message } = error instanceof ConnectError ? error : new ConnectError("internal", String(error));
    send(response, STATUS[code], { code, message });
  }
}

async function payload(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > LONGEST) throw new ConnectError("resource_exhausted", `more than ${LONGEST} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf-8"));
  } catch (error) {
    throw new ConnectError("invalid_argument", String(error));
  }
}

function ending(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const over = () => controller.abort(new ConnectError("deadline_exceeded", "the time is over"));
  const milliseconds = Number(request.headers["connect-timeout-ms"]);
  const timer = milliseconds > 0 ? setTimeout(over, milliseconds) : undefined;
  response.on("close", () => {
    clearTimeout(timer);
    over();
  });
  return controller.signal;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

const [, , option, address] = process.argv;
if (option !== "--listen" || !address) throw new Error("usage: node plugin.ts --listen http://HOST:PORT");
const { hostname, port } = new URL(address);
const server = createServer(answer).listen(Number(port), hostname, () => console.log(`serving ${SERVICE} at ${address}`));
process.on("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
