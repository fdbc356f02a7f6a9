/** One event of a `text/event-stream`. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  /** The last id that the stream gave; empty when it gave none. */
  readonly id: string;
}

/** Splits a byte stream into events, by the rules of the HTML standard. An event that is cut off is no event. */
export async function* serverSentEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let event = "";
  let data: string[] = [];
  let id = "";
  for await (const line of lines(chunks)) {
    if (line === "") {
      if (data.length > 0) yield { event: event === "" ? "message" : event, data: data.join("\n"), id };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id" && !value.includes("\0")) id = value;
  }
}

/** Lines end with LF, CR or both. */
async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder(); // It drops a byte order mark.
  const ending = /\r\n|\n|\r(?!$)/g;
  let rest = "";
  for await (const chunk of chunks) {
    // A carriage return at the very end waits: a line feed that belongs to it may follow.
    ending.lastIndex = Math.max(0, rest.length - 1);
    rest += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let match = ending.exec(rest); match !== null; match = ending.exec(rest)) {
      yield rest.slice(start, match.index);
      start = match.index + match[0].length;
    }
    rest = rest.slice(start);
  }
  if (rest.endsWith("\r")) yield rest.slice(0, -1);
}
