import { NativeAgent } from "../support/native-agent.ts";
import { describeAgent } from "./agent.ts";

describeAgent("plyagent", () => NativeAgent.start(), { skip: {} });
