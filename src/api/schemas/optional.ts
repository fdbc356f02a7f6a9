import * as z from "zod";

/**
 * What may be left out of a body. `z.exactOptional` runs the whole schema on what is not there, and throws away what it
 * finds wrong; `z.optional` looks away. That it takes `undefined` too makes no difference: JSON has none.
 */
export const optional = <Schema extends z.ZodType>(schema: Schema): z.ZodExactOptional<Schema> =>
  z.optional(schema) as z.ZodType as z.ZodExactOptional<Schema>;
