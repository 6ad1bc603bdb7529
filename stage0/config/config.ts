import type { MachineSetting } from "../../stage1/machine-settings.ts";

/** The three places of configuration, lowest precedence first; an absent one is not read. */
export interface ConfigDirectories {
	/** Vendor, normally /usr/lib/rkt. */
	readonly system?: string | undefined;
	/** Administrator, normally /etc/rkt. */
	readonly local?: string | undefined;
	/** `--user-config`. */
	readonly user?: string | undefined;
}

export interface BasicCredentials {
	readonly user: string;
	readonly password: string;
}

/** What is sent to a host: HTTP basic, a bearer token, or an AWS signature (version 4, service s3). */
export type Credentials =
	| ({ readonly type: "basic" } & BasicCredentials)
	| { readonly type: "oauth"; readonly token: string }
	| {
			readonly type: "aws";
			readonly accessKeyID: string;
			readonly secretAccessKey: string;
			readonly awsRegion?: string;
	  };

/** Checks of the transport that are switched off. */
export interface InsecureTransport {
	/** Plain http is used when the registry does not speak https. */
	readonly http: boolean;
	/** Certificates are not checked. */
	readonly tls: boolean;
}

export interface RegistryMirror {
	/** Host with its port. */
	readonly host: string;
	/** What stands in front of the repository there; "" for nothing. */
	readonly prefix: string;
	readonly insecure: InsecureTransport;
}

/** How one registry of OCI and docker images is reached. */
export interface RegistrySettings {
	/** Asked in this order before the registry itself. */
	readonly mirrors: readonly RegistryMirror[];
	readonly insecure: InsecureTransport;
}

/** One of `ACCELERATORS`, or a size that stage1/machine-settings.ts reads. */
export type KvmSetting = "accelerator" | MachineSetting;

/** `auto`: user namespaces where they work, with a line where they do not. */
export const PRIVATE_USERS_MODES = ["auto", "on", "off"] as const;
export type PrivateUsersMode = (typeof PRIVATE_USERS_MODES)[number];

export interface Config {
	/** By the URL's host with its port, compared exactly. */
	readonly auth: ReadonlyMap<string, Credentials>;
	/** By registry host. */
	readonly dockerAuth: ReadonlyMap<string, BasicCredentials>;
	/** By registry host. */
	readonly registries: ReadonlyMap<string, RegistrySettings>;
	readonly paths: { readonly data?: string; readonly stage1Images?: string };
	readonly stage1: { readonly name?: string; readonly version?: string; readonly location?: string };
	/** What the journal of each pod may occupy, as a quantity; absent when nobody says it. */
	readonly journal?: { readonly maxSize: string };
	/** How virtual machines may be run, and how large they are. */
	readonly kvm: ReadonlyMap<KvmSetting, string>;
	/** What pods get whose flags say nothing; absent when nobody says it. */
	readonly isolation?: { readonly privateUsers: PrivateUsersMode };
	/** Lines for standard error: credentials that other users can read. */
	readonly warnings: readonly string[];
}
