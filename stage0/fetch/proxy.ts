import { BlockList, isIP } from "node:net";
import { fail } from "../../lib/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a URL from HTTP_PROXY, HTTPS_PROXY and NO_PROXY (lower case wins), or undefined for a direct
 * connection. This machine itself is never reached through a proxy.
 * Errors: `proxy-invalid`.
 */
export function proxyFor(url: URL, environment: Environment): URL | undefined {
	const variable = url.protocol === "https:" ? "https_proxy" : "http_proxy";
	const value = readVariable(environment, variable);
	if (value === "" || isThisMachine(url) || isExempt(url, readVariable(environment, "no_proxy")))
		return undefined;
	const text = value.includes("://") ? value : `http://${value}`;
	if (!URL.canParse(text))
		fail("proxy-invalid", `the proxy "${value}" of ${variable.toUpperCase()} is not a URL`);
	const proxy = new URL(text);
	if (proxy.protocol === "http:" || proxy.protocol === "https:") return proxy;
	return fail(
		"proxy-invalid",
		`the proxy "${value}" of ${variable.toUpperCase()} is not an http or https proxy`,
	);
}

function readVariable(environment: Environment, name: string): string {
	return environment[name] || environment[name.toUpperCase()] || "";
}

function plainHost(url: URL): string {
	return url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
}

function isThisMachine(url: URL): boolean {
	const host = plainHost(url);
	return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function isExempt(url: URL, list: string): boolean {
	const host = plainHost(url);
	const port = url.port || (url.protocol === "https:" ? "443" : "80");
	const rules = list.split(",").map((rule) => rule.trim().toLowerCase());
	return rules.some((rule) => rule !== "" && matchesRule(rule, host, port));
}

/** A rule is `*`, an address, a network, or a domain that covers its sub-domains; each but a network may end in a port. */
function matchesRule(rule: string, host: string, port: string): boolean {
	if (rule === "*") return true;
	if (rule.includes("/")) return isInNetwork(rule, host);
	const [, name = "", rulePort] = /^(.*?)(?::(\d+))?$/.exec(isIP(rule) ? `[${rule}]` : rule) ?? [];
	if (rulePort !== undefined && rulePort !== port) return false;
	const domain = name.replace(/^\[|\]$|^\*?\./g, "");
	return host === domain || (isIP(host) === 0 && host.endsWith(`.${domain}`));
}

function isInNetwork(rule: string, host: string): boolean {
	const [network = "", bits = ""] = rule.split("/");
	const family = isIP(network);
	if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
	if (Number(bits) > (family === 4 ? 32 : 128)) return false;
	const list = new BlockList();
	const type = family === 4 ? "ipv4" : "ipv6";
	list.addSubnet(network, Number(bits), type);
	return list.check(host, type);
}
