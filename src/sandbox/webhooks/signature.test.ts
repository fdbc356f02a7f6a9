import { expect, it } from "vitest";
import { keyOf, newSecret, signedHeaders } from "./signature.ts";

it("a message is signed as the specification's own example", () => {
  // From the Standard Webhooks test vectors: secret, id, time and payload give this signature.
  const headers = signedHeaders(
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    '{"test": 2432232314}',
    new Date(1_614_265_330_999),
  );
  expect(headers).toEqual({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

it("secrets are made anew, with 32 random bytes", () => {
  const secrets = [newSecret(), newSecret()];
  expect(new Set(secrets).size).toBe(2);
  for (const secret of secrets) expect(keyOf(secret)).toHaveLength(32);
});

it.each([
  "",
  "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  "whsec_",
  "whsec_c2hvcnQ=",
  "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
  `whsec_${Buffer.alloc(65).toString("base64")}`,
])("%j is no secret", (secret) => {
  expect(() => keyOf(secret)).toThrow(expect.objectContaining({ code: "input/invalid", field: "secret" }));
});
