import { renderConfig } from "../../config/render-config.ts";
import type { Handler } from "../command.ts";
import { printJson } from "../output/print-json.ts";
import { readConfig } from "../workspace.ts";

/** `rkt config`: what the configuration directories say together, credentials included. */
export const printConfig: Handler = async (context, { options }) => {
	printJson(renderConfig(readConfig(context)), options.on("pretty-print") ? "json-pretty" : "json");
	return 0;
};
