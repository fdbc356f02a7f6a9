/** `STORE (push|pull) NAME BUCKET/PREFIX`: moves a layer by the built code, in a process that may be killed. */
import { LayerStore } from "../../dist/layers/layer-store.js";
import { S3Store } from "../../dist/snapshots/object-store/s3-store.js";
import { Remote } from "../../dist/snapshots/remote/remote.js";

const [storeDirectory, operation, name, place] = process.argv.slice(2);
const [bucket, prefix] = place.split("/");
const { ENDPOINT: endpoint, ACCESS_KEY: accessKeyId, SECRET_KEY: secretAccessKey, PIECE_BYTES } = process.env;
const credentials = { kind: "given", accessKeyId, secretAccessKey };
const objects = new S3Store({ endpoint, region: "us-east-1", bucket, credentials, pieceBytes: Number(PIECE_BYTES) });
const layers = new LayerStore({ storeDirectory, mountDirectory: "/nonexistent", mounter: {}, unpack: true, log: console });
const remote = new Remote(objects, prefix, layers.transfer);
if (operation === "push") await remote.push([name]);
else if (operation === "pull") await remote.pull([name]);
else throw new Error(`no operation ${operation}`);
