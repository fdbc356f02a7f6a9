import { resolve } from "node:path";
import type { Command } from "commander";
import type { LayerSignature } from "../../model/layer.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { withDaemonOrStore } from "../daemon-or-store.ts";
import type { LayerOptions } from "../layer-source.ts";
import { loadSigner } from "../load-daemon.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";

interface SignOptions extends LayerOptions {
  readonly signKey: string;
}

/** What is signed, and where the signature goes: the daemon's API, or the store of this process. */
interface SignedLayers {
  signatures(name: string): Promise<{ readonly manifestDigest: string }>;
  addSignature(name: string, signature: LayerSignature): Promise<unknown>;
}

export function defineSign(program: Command, context: CliContext): void {
  const command = program
    .command("sign")
    .argument("<layer...>", "the layers")
    .requiredOption("--sign-key <file>", "a private ed25519 key in PEM; it is read here and goes nowhere")
    .addOption(jsonOption("print the signatures as JSON"));
  connectOptions(command).action(async (names: string[], options: SignOptions) => {
    const sign = await loadSigner(resolve(context.cwd(), options.signKey));
    const signed: { layer: string; signature: LayerSignature }[] = [];
    for (const layer of names) {
      const signature = await withDaemonOrStore(options, context, {
        daemon: ({ layers }) => signOne(layers, layer, sign),
        store: ({ layers: { transfer } }) =>
          signOne(
            { signatures: (name) => transfer.signed(name), addSignature: (...of) => transfer.addSignature(...of) },
            layer,
            sign,
          ),
      });
      signed.push({ layer, signature });
      if (!options.json) context.stdout.write(`${layer}   signed by ${signature.keyId}\n`);
    }
    if (options.json) writeJson(context.stdout, signed);
  });
}

async function signOne(
  layers: SignedLayers,
  name: string,
  sign: (manifestDigest: string) => LayerSignature,
): Promise<LayerSignature> {
  const { manifestDigest } = await layers.signatures(name);
  const signature = sign(manifestDigest);
  await layers.addSignature(name, signature);
  return signature;
}
