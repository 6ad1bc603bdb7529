import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { NetInfo } from "../pod-record.ts";
import type { NetList } from "./net-list.ts";

export type Protocol = "tcp" | "udp";

/** One port of the host that leads into the pod. Made by `matchPorts` in ports.ts. */
export interface ForwardedPort {
	readonly protocol: Protocol;
	/** IPv4 address of the host; undefined for all of them. */
	readonly hostIP?: string;
	/** 1 to 65535. */
	readonly hostPort: number;
	/** 1 to 65535. */
	readonly podPort: number;
}

/** DNS settings as a network plugin returned them; every value is checked. */
export interface NetworkDns {
	readonly networkName: string;
	readonly nameservers: readonly string[];
	readonly search: readonly string[];
	readonly options: readonly string[];
	readonly domain?: string;
}

/** What set-up and tear-down both need. */
export interface NetworkContext {
	/** Absolute path of the pod directory. It is locked by the caller. */
	readonly podDirectory: string;
	readonly uuid: string;
	/** The administrator's configuration directory, such as /etc/rkt. */
	readonly localConfig: string;
	/**
	 * Root of a stage1 image that may hold plugins of its own, in the tree store. Never the pod's copy: a pod can
	 * write there, and plugins run as root on the host.
	 */
	readonly stage1Rootfs?: string | undefined;
	readonly syscall: Syscall;
	readonly log: Log;
	/** Milliseconds after which a plugin is killed; 60 000 when not given. */
	readonly pluginTimeoutMs?: number | undefined;
}

export interface SetUpOptions extends NetworkContext {
	readonly net: NetList;
	readonly ports: readonly ForwardedPort[];
	/** Apps of a user-namespaced pod have no capability over the namespace: let them bind ports below 1024. */
	readonly unprivilegedPorts?: boolean | undefined;
}

/** The network of a pod that was set up. */
export interface NetworkResult {
	/** Path of the pod's network namespace; undefined with --net=host. */
	readonly namespace: string | undefined;
	/** In the order of the interfaces eth0, eth1… */
	readonly networks: readonly NetInfo[];
	/**
	 * IPv4 address at which the pod reaches the host: the gateway of the first masqueraded network, else of the last
	 * one; 127.0.0.1 with --net=host; undefined without a network.
	 */
	readonly hostIP: string | undefined;
	/** From the first network whose plugin gave any. */
	readonly dns: NetworkDns | undefined;
}
