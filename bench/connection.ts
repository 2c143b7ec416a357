import net from 'node:net';

/** One answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * A connection that has one request under way at most and reads answers that tell their length, as all contestants do:
 * a sender that costs little next to them.
 */
export class Connection {
  #socket: net.Socket | undefined;
  #received = '';
  #onAnswer: ((answer: Answer | undefined) => void) | undefined;

  constructor(private readonly port: number) {}

  /** @param onAnswer called once; with undefined if the connection broke */
  request(bytes: Buffer, onAnswer: (answer: Answer | undefined) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket ??= this.connect();
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket?.destroy();
  }

  private connect(): net.Socket {
    const socket = net.connect(this.port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
    socket.on('error', () => undefined); // it closes too
    socket.on('close', () => {
      this.#socket = undefined;
      this.finish(undefined);
    });
    return socket.on('data', (chunk: string) => {
      this.#received += chunk;
      const answer = parseAnswer(this.#received);
      if (answer) this.finish(answer);
    });
  }

  private finish(answer: Answer | undefined): void {
    this.#received = '';
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(answer);
  }
}

/** Undefined while it is not here whole. */
function parseAnswer(text: string): Answer | undefined {
  const bodyAt = text.indexOf('\r\n\r\n') + 4;
  if (bodyAt === 3) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
  if (length === undefined) throw new Error(`an answer does not tell its length: ${text.slice(0, bodyAt)}`);
  const body = text.slice(bodyAt);
  if (body.length < Number(length)) return undefined;
  return { status: Number(text.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)), body };
}
