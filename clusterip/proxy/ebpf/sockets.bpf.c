// Services at the socket: a program that connects or sends to a Service's address is given one of its
// endpoints at once, so that its packets flow as if it had named the endpoint itself. No packet is
// rewritten and no connection tracked. The hooks are the cgroup's: a program in the cgroup these are
// attached to, in any network namespace.
//
// What is not found in `services` is left as it is: nftables has the rules for everything else.
//
// Addresses of both families are kept in the form IPv6 gives them (IPv4 as ::ffff:a.b.c.d), so that a
// socket of IPv6 that speaks IPv4 needs nothing of its own.
//
// layout.py knows these structures too. Change its LAYOUT with them.

#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct address {
	__u32 words[4];
};

// An address with a port: of a Service, or of an endpoint.
struct place {
	struct address address;
	__u16 port; // in network order
	__u8 protocol; // 0 in an endpoint
	__u8 zero;
};

struct service {
	__u32 group; // its endpoints are in `endpoints`
	__u32 count; // of them, at least 1
	__u32 affinity_seconds; // 0: none
	__u32 zero;
};

struct slot {
	__u32 group;
	__u32 index;
};

struct member {
	__u32 group;
	struct place endpoint;
};

// Who session affinity is for: everything in one network namespace, as all of it has one address.
struct client {
	__u64 namespace;
	__u32 group;
	__u32 zero;
};

struct bond {
	struct place endpoint;
	__u32 birth; // of the member: one that went and came back is another
	__u64 used; // when, in nanoseconds since boot
};

// A socket and a place it sends to, or hears from.
struct flow {
	__u64 socket;
	struct place place;
};

// What a connected socket asked for, and what it was given.
struct connection {
	struct place service;
	struct place endpoint;
};

// A socket of TCP in `places`, and its connection. Socket 0: the place is free.
struct held {
	struct bpf_spin_lock lock;
	__u32 zero;
	__u64 socket;
	struct connection connection;
};

// What is remembered of a socket of UDP, which the proxy may have to find and end.
struct peer {
	struct connection connection;
	__u64 namespace;
};

#define HASH(name, key_type, value_type, entries)                                                            \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_HASH);                                                             \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                        \
		__uint(max_entries, entries);                                                                \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                         \
		__type(key, key_type);                                                                       \
		__type(value, value_type);                                                                   \
	} name SEC(".maps")

#define LRU(name, key_type, value_type, entries)                                                             \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);                                                         \
		__uint(max_entries, entries);                                                                \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                         \
		__type(key, key_type);                                                                       \
		__type(value, value_type);                                                                   \
	} name SEC(".maps")

// Written by the proxy.
HASH(services, struct place, struct service, 262144);
HASH(endpoints, struct slot, struct place, 2097152);
// The endpoints of groups that remember their clients (of UDP, and with session affinity), and a number
// that each gets when it is added.
HASH(members, struct member, __u32, 1048576);

// Written here.
LRU(bonds, struct client, struct bond, 65536);
LRU(flows, struct flow, struct place, 65536);
LRU(answers, struct flow, struct place, 65536);
LRU(peers, __u64, struct peer, 65536);

// Connections of TCP, each at the number of its socket: a store with no search and no allocation, which is
// all that a connection through a Service costs. Given back when the socket is closed.
#define PLACES 65536
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct held);
} places SEC(".maps");

// Connections of TCP whose place another one has, kept with the socket for as long as it lives. Takes 1 us.
// In an LRU, connections that come and go quickly would push out those that stay.
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

// 0 if it is none.
static __always_inline __u32 birth_of(__u32 group, const struct place *endpoint)
{
	struct member member = { .group = group, .endpoint = *endpoint };
	__u32 *birth = bpf_map_lookup_elem(&members, &member);

	return birth ? *birth : 0;
}

static __always_inline bool draw(const struct service *service, struct place *endpoint)
{
	struct slot slot = { .group = service->group };
	struct place *found;

	slot.index = bpf_get_prandom_u32() % service->count;
	found = bpf_map_lookup_elem(&endpoints, &slot);
	if (!found) {
		// The last slot was just given up.
		slot.index = 0;
		found = bpf_map_lookup_elem(&endpoints, &slot);
	}
	if (!found)
		return false;
	*endpoint = *found;
	return true;
}

// The endpoint a client of a Service with affinity had before, or a new one.
static __always_inline bool draw_for(struct bpf_sock_addr *ctx, const struct service *service,
				     struct place *endpoint)
{
	struct client client = { .namespace = bpf_get_netns_cookie(ctx), .group = service->group };
	__u64 now = bpf_ktime_get_ns();
	struct bond *bond = bpf_map_lookup_elem(&bonds, &client);
	struct bond fresh = {};

	if (bond && now - bond->used < service->affinity_seconds * 1000000000ull &&
	    birth_of(service->group, &bond->endpoint) == bond->birth) {
		*endpoint = bond->endpoint;
		bond->used = now;
		return true;
	}
	if (!draw(service, endpoint))
		return false;
	fresh.endpoint = *endpoint;
	fresh.birth = birth_of(service->group, endpoint);
	fresh.used = now;
	bpf_map_update_elem(&bonds, &client, &fresh, BPF_ANY);
	return true;
}

static __always_inline bool choose(struct bpf_sock_addr *ctx, const struct service *service,
				   struct place *endpoint)
{
	if (service->affinity_seconds)
		return draw_for(ctx, service, endpoint);
	return draw(service, endpoint);
}

static __always_inline struct held *place_of(__u64 socket)
{
	__u32 index = socket % PLACES;

	return bpf_map_lookup_elem(&places, &index);
}

static __always_inline bool hold(__u64 socket, const struct connection *connection)
{
	struct held *held = place_of(socket);
	bool free;

	if (!held)
		return false;
	bpf_spin_lock(&held->lock);
	free = !held->socket || held->socket == socket;
	if (free) {
		held->socket = socket;
		held->connection = *connection;
	}
	bpf_spin_unlock(&held->lock);
	return free;
}

static __always_inline void let_go(__u64 socket)
{
	struct held *held = place_of(socket);

	if (held && held->socket == socket)
		held->socket = 0;
}

// Where a socket connects to is what it is connected to: `connection`, or with NULL just what it asked for.
static __always_inline void remember(struct bpf_sock_addr *ctx, const struct connection *connection)
{
	struct bpf_sock *socket = ctx->sk;
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct connection *kept;

	if (!socket)
		return;
	if (!connection) {
		// It may have been connected to a Service before.
		let_go(cookie);
		bpf_sk_storage_delete(&connections, socket);
		return;
	}
	if (hold(cookie, connection))
		return;
	kept = bpf_sk_storage_get(&connections, socket, (void *)connection, BPF_SK_STORAGE_GET_F_CREATE);
	if (kept)
		*kept = *connection;
}

static __always_inline void remember_udp(struct bpf_sock_addr *ctx, const struct connection *connection)
{
	__u64 socket = bpf_get_socket_cookie(ctx);
	struct peer peer = {};
	struct flow answer = {};

	if (!connection) {
		// It may have been connected to a Service before.
		bpf_map_delete_elem(&peers, &socket);
		return;
	}
	peer.connection = *connection;
	peer.namespace = bpf_get_netns_cookie(ctx);
	bpf_map_update_elem(&peers, &socket, &peer, BPF_ANY);
	answer.socket = socket;
	answer.place = connection->endpoint;
	bpf_map_update_elem(&answers, &answer, &connection->service, BPF_ANY);
}

// A socket connects. True if `endpoint` is where to.
static __always_inline bool connect(struct bpf_sock_addr *ctx, struct place *asked, struct place *endpoint)
{
	struct service *service = bpf_map_lookup_elem(&services, asked);
	bool translated = service && choose(ctx, service, endpoint);
	struct connection connection = { .service = *asked, .endpoint = *endpoint };

	if (asked->protocol == IPPROTO_UDP)
		remember_udp(ctx, translated ? &connection : NULL);
	else
		remember(ctx, translated ? &connection : NULL);
	return translated;
}

// A socket sends a datagram without being connected. True if `endpoint` is where to.
static __always_inline bool send(struct bpf_sock_addr *ctx, struct place *asked, struct place *endpoint)
{
	struct service *service = bpf_map_lookup_elem(&services, asked);
	struct flow flow = {};
	struct place *before;

	if (!service)
		return false;
	flow.socket = bpf_get_socket_cookie(ctx);
	flow.place = *asked;
	before = bpf_map_lookup_elem(&flows, &flow);
	if (before && birth_of(service->group, before)) {
		*endpoint = *before;
	} else {
		if (!choose(ctx, service, endpoint))
			return false;
		bpf_map_update_elem(&flows, &flow, endpoint, BPF_ANY);
	}
	flow.place = *endpoint;
	bpf_map_update_elem(&answers, &flow, asked, BPF_ANY);
	return true;
}

// A datagram came. True if it is an endpoint's answer to what was sent to `service`.
static __always_inline bool receive(struct bpf_sock_addr *ctx, const struct place *from, struct place *service)
{
	struct flow flow = {};
	struct place *found;

	flow.socket = bpf_get_socket_cookie(ctx);
	flow.place = *from;
	found = bpf_map_lookup_elem(&answers, &flow);
	if (!found)
		return false;
	*service = *found;
	return true;
}

static __always_inline bool is_same(const struct address *a, const struct address *b)
{
	return a->words[3] == b->words[3] && a->words[2] == b->words[2] && a->words[1] == b->words[1] &&
	       a->words[0] == b->words[0];
}

// A program asks whom a socket is connected to. True if that is `service`.
static __always_inline bool name_peer(struct bpf_sock_addr *ctx, const struct place *shown, struct place *service)
{
	struct bpf_sock *socket = ctx->sk;
	struct connection *connection = NULL;
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct held *held = place_of(cookie);

	if (held && held->socket == cookie)
		connection = &held->connection;
	else if (socket)
		connection = bpf_sk_storage_get(&connections, socket, NULL, 0);
	if (!connection) {
		struct peer *peer = bpf_map_lookup_elem(&peers, &cookie);

		connection = peer ? &peer->connection : NULL;
	}
	if (!connection || connection->endpoint.port != shown->port ||
	    !is_same(&connection->endpoint.address, &shown->address))
		return false;
	*service = connection->service;
	return true;
}

static __always_inline void load4(struct bpf_sock_addr *ctx, struct place *place)
{
	place->address.words[2] = bpf_htonl(0xffff);
	place->address.words[3] = ctx->user_ip4;
	place->port = ctx->user_port;
}

static __always_inline void store4(struct bpf_sock_addr *ctx, const struct place *place)
{
	ctx->user_ip4 = place->address.words[3];
	ctx->user_port = place->port;
}

static __always_inline void load6(struct bpf_sock_addr *ctx, struct place *place)
{
	place->address.words[0] = ctx->user_ip6[0];
	place->address.words[1] = ctx->user_ip6[1];
	place->address.words[2] = ctx->user_ip6[2];
	place->address.words[3] = ctx->user_ip6[3];
	place->port = ctx->user_port;
}

static __always_inline void store6(struct bpf_sock_addr *ctx, const struct place *place)
{
	ctx->user_ip6[0] = place->address.words[0];
	ctx->user_ip6[1] = place->address.words[1];
	ctx->user_ip6[2] = place->address.words[2];
	ctx->user_ip6[3] = place->address.words[3];
	ctx->user_port = place->port;
}

// Towards an endpoint the key tells the protocol; what comes back is compared without.
#define OUTWARD(name, act, load, store)                                                                      \
	SEC("cgroup/" #name) int name(struct bpf_sock_addr *ctx)                                             \
	{                                                                                                    \
		struct place asked = { .protocol = ctx->protocol }, endpoint = {};                           \
		load(ctx, &asked);                                                                           \
		if (act(ctx, &asked, &endpoint))                                                             \
			store(ctx, &endpoint);                                                               \
		return 1;                                                                                    \
	}

#define INWARD(name, act, load, store)                                                                       \
	SEC("cgroup/" #name) int name(struct bpf_sock_addr *ctx)                                             \
	{                                                                                                    \
		struct place shown = {}, service = {};                                                       \
		load(ctx, &shown);                                                                           \
		if (act(ctx, &shown, &service))                                                              \
			store(ctx, &service);                                                                \
		return 1;                                                                                    \
	}

OUTWARD(connect4, connect, load4, store4)
OUTWARD(connect6, connect, load6, store6)
OUTWARD(sendmsg4, send, load4, store4)
OUTWARD(sendmsg6, send, load6, store6)
INWARD(recvmsg4, receive, load4, store4)
INWARD(recvmsg6, receive, load6, store6)
INWARD(getpeername4, name_peer, load4, store4)
INWARD(getpeername6, name_peer, load6, store6)

// A program closes a socket.
SEC("cgroup/sock_release") int sock_release(struct bpf_sock *socket)
{
	let_go(bpf_get_socket_cookie(socket));
	return 1;
}
