// Runs inside a sandbox: servers of every kind that the port tests speak to. Prints "ready" when all listen.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createNetServer } from "node:net";

/** Megabytes of the last /big that have been handed to its connection. */
let pushed = 0;
const http = createServer(async (request, response) => {
  const path = request.url.split("?", 1)[0];
  if (path === "/count") {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of request) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    response.end(JSON.stringify({ bytes, sha256: hash.digest("hex") }));
  } else if (path === "/big") {
    const megabytes = Number(new URLSearchParams(request.url.split("?")[1]).get("megabytes"));
    let left = megabytes;
    pushed = 0;
    const push = () => {
      while (left > 0) {
        left -= 1;
      pushed += 1;
        if (!response.write(Buffer.alloc(1024 ** 2, megabytes - left - 1))) return;
      }
      response.end();
    };
    response.on("drain", push);
    push();
  } else if (path === "/echo") {
    response.writeHead(200, { "x-case": "Kept", trailer: "x-after" });
    response.flushHeaders();
    for await (const chunk of request) response.write(chunk);
    response.addTrailers({ "x-after": request.trailers["x-before"] ?? "none" });
    response.end();
  } else if (path === "/pushed") {
    response.end(String(pushed));
  } else if (path === "/cut") {
    response.writeHead(200, { "content-length": "100" });
    response.write("a part", () => request.socket.destroy());
  } else if (path === "/status") {
    response.writeHead(418, "Short And Stout", [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["Connection", "x-hop"], ["X-Hop", "1"]].flat());
    response.end("teapot");
  } else {
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.rawHeaders }));
  }
});
http.on("upgrade", (request, socket, head) => {
  if (request.url.startsWith("/refuse")) {
    socket.end("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno");
    return;
  }
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${request.headers.upgrade}\r\n`);
  socket.write(`x-url: ${request.url}\r\nx-authorization: ${request.headers.authorization ?? "none"}\r\n\r\nhello `);
  socket.write(head);
  socket.on("error", () => {});
  socket.pipe(socket);
});

// Says how much came only when the other side has ended its direction.
const counter = createNetServer({ allowHalfOpen: true }, (socket) => {
  let bytes = 0;
  socket.on("data", (chunk) => {
    bytes += chunk.length;
  });
  socket.on("end", () => socket.end(`got ${bytes}`));
});
// Breaks off when it has heard something.
const breaker = createNetServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
// What it says is not HTTP, or not what was asked for.
const noise = createNetServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (head) => {
    if (head.includes(" /101 ")) socket.write("HTTP/1.1 101 Surprise\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
    else if (head.includes(" /099 ")) socket.end("HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n");
    else socket.end("this is no HTTP\n");
  });
});
const six = createServer((_request, response) => response.end("six"));
const unix = createNetServer((socket) => socket.pipe(socket));

const listening = (server, ...where) => new Promise((resolve) => server.listen(...where, resolve));
await listening(http, 8080, "127.0.0.1");
await listening(counter, 8081, "0.0.0.0");
await listening(six, 8082, "::1");
await listening(breaker, 8084, "127.0.0.1");
await listening(noise, 8083, "127.0.0.1");
await listening(unix, "/run/echo.sock");
console.log("ready");
