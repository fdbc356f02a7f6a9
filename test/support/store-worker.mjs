/** `STORE (build-tar|import|gc) NAME SOURCE`: one operation on a layer store, by the built code, in a process that may be killed. */
import { createReadStream } from "node:fs";
import { LayerStore } from "../../dist/layers/layer-store.js";

const [storeDirectory, operation, name, source] = process.argv.slice(2);
const store = new LayerStore({ storeDirectory, mountDirectory: "/nonexistent", mounter: {}, unpack: true, log: console });
const packing = { algorithm: "lz4" };
if (operation === "build-tar") await store.make.fromTar(name, createReadStream(source), { source, replace: true, packing });
else if (operation === "import") await store.transfer.import(createReadStream(source), { replace: true });
else if (operation === "gc") await store.collect({ budgetBytes: 0 });
else throw new Error(`no operation ${operation}`);
