/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * libhvhost: what Hyper-V does for one guest.  A partition holds guest memory,
 * virtual processors with CPUID, MSRs, hypercalls, SynIC and timers, a VMBus
 * server, and the providers (VSPs) behind it.  No global state, no threads of
 * its own, never exits: errors are positive errno values.  The guest is taken
 * for malicious: whatever it writes, the library stays up.
 *
 * Threads: the functions under "processor side" may be called from any thread
 * at any time, for different VPs at once.  Everything else that a guest
 * causes (messages, channel traffic, I/O completion) is done in hvh_pump(),
 * which one thread at a time may run.  The functions under "management side"
 * may be called from any thread but not from inside a callback.
 */

#ifndef HVHOST_H
#define	HVHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hvhost_enl.h"

struct hvh;			/* a partition */
struct hvh_scsi;		/* a synthetic SCSI controller */
struct hvh_blk;			/* a storage back end */
struct hvh_net;			/* a synthetic network adapter */
struct hvh_netbe;		/* a network back end */
struct hvh_ic;			/* an integration service */
struct hvh_balloon;		/* dynamic memory */

struct hvh_guid {
	uint8_t		b[16];	/* wire order */
};

/* "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f" to wire order; EINVAL. */
int	hvh_guid_parse(const char *text, struct hvh_guid *guid);
/* Prints 36 characters and NUL. */
void	hvh_guid_format(const struct hvh_guid *guid, char text[37]);

enum hvh_log_level { HVH_LOG_ERROR, HVH_LOG_WARN, HVH_LOG_INFO, HVH_LOG_DEBUG };

enum hvh_event { HVH_EVENT_RESET, HVH_EVENT_CRASH };

enum hvh_trace_kind {
	HVH_TRACE_MESSAGE = 1,	/* channel message; chan is 0 */
	HVH_TRACE_PACKET,	/* ring packet: descriptor, then the rest */
	HVH_TRACE_SIGNAL,	/* the guest's that was seen; ours */
	HVH_TRACE_CORRUPT,	/* a ring is given up; data says why */
};

/* Of an outgoing packet at most so many bytes are shown. */
#define	HVH_TRACE_MAX	512

/*
 * What went between guest and host, as the guest sent it or gets to see it:
 * faults come behind the one and before the other.
 */
struct hvh_trace_event {
	enum hvh_trace_kind kind;
	bool		 out;		/* to the guest */
	uint32_t	 chan;
	uint32_t	 vp;		/* of the message; of our signals */
	uint64_t	 time;		/* ops->now */
	const void	*data;
	size_t		 len;		/* bytes at data */
	size_t		 total;		/* bytes there were */
};

/* What the library asks of its user.  All may be called from any thread. */
struct hvh_ops {
	/*
	 * Assert vector at the local APIC of vp, edge, fixed.  autoeoi: the
	 * guest will not end the interrupt.  Must not block nor call back.
	 */
	void	 (*interrupt)(void *arg, uint32_t vp, uint8_t vector,
		    bool autoeoi);
	/* Work waits for hvh_pump().  Must not block nor call back. */
	void	 (*kick)(void *arg);
	/* Monotonic nanoseconds; the partition's time base. */
	uint64_t (*now)(void *arg);
	/*
	 * The guest asked for a reset (MSR), or reported a crash: the five
	 * parameters, and the guest's words as it sent them, or NULL.
	 */
	void	 (*event)(void *arg, enum hvh_event event,
		    const uint64_t params[5], const char *text);
	void	 (*log)(void *arg, enum hvh_log_level level, const char *text);
	/*
	 * NULL, or for a user whose message slots somebody else fills too (a
	 * KVM with synthetic timers of its own): messages wait for vp, which
	 * shall call hvh_attend() while it runs no guest code.  Must not block.
	 */
	void	 (*attend)(void *arg, uint32_t vp);
	/*
	 * NULL, or for a user who can take signal-event hypercalls himself:
	 * those of this connection, with flag 0, had better come by
	 * hvh_signal() from now on, as the guest sends in bursts, or no more:
	 * it waits for each, and hvh_hypercall() with a round of the pump
	 * behind it has the shorter way.  With the pump lock held.
	 */
	void	 (*listen)(void *arg, uint32_t connection, bool on);
	/* One at a time, the pump waits for it.  NULL: nobody looks. */
	void	 (*trace)(void *arg, const struct hvh_trace_event *ev);
	/* The wall clock, Unix nanoseconds.  NULL: CLOCK_REALTIME. */
	uint64_t (*wall)(void *arg);
	/*
	 * NULL, or for a user whose guests get their reference time from
	 * somebody else (a KVM): what that is now, in 100 ns.
	 */
	uint64_t (*reftime)(void *arg);
	/*
	 * What the guest's RDTSC reads, if that is not this processor's.  With
	 * locks held: must not block nor call back.
	 */
	uint64_t (*tsc)(void *arg);
	/*
	 * The VPs shall have dropped these translations when it returns, or
	 * before they run guest code again.  NULL: they keep none.  vp asks;
	 * must not call back.
	 */
	void	 (*flush)(void *arg, uint32_t vp, const struct hvh_flush *f);
	/* The guest ended its highest interrupt by MSR.  May be NULL. */
	void	 (*eoi)(void *arg, uint32_t vp);
};

struct hvh_mem_region {
	uint64_t	 gpa;	/* page-aligned */
	uint64_t	 size;	/* page multiple */
	void		*host;	/* mapped by the caller, stays until destroy */
};

struct hvh_config {
	uint32_t	 vps;			/* 1 to 64 */
	struct hvh_mem_region mem[4];
	unsigned	 nmem;
	uint32_t	 max_version;		/* highest VMBus version
						 * offered, 0: newest */
	uint32_t	 min_version;		/* lowest, 0: 0.13 */
	bool		 no_autoeoi;		/* CPUID says: do not use */
	bool		 monitor_pages;		/* monitored notification */
	/*
	 * What the hypercall page holds: code that reaches hvh_hypercall()
	 * and returns.  It is copied over the guest's page when that is
	 * enabled and what was there is put back when disabled.
	 */
	const void	*hypercall_code;
	size_t		 hypercall_code_len;
	/*
	 * Reference time from the TSC: Hz of a TSC that is constant and in
	 * step on all VPs, or 0: the TSC page then says "use the counter".
	 */
	uint64_t	 tsc_hz;
	/*
	 * How long the pump may look for more of a guest's requests, before it
	 * tells of those that are done where the guest tends to send several
	 * in a row, and after that where it soon sends the next; it is called
	 * again at once in that time.  Nanoseconds, 0: the guest is told at
	 * the end of each round.
	 */
	uint64_t	 linger_ns;
	/*
	 * Signals of and to network channels that carry many packets are
	 * moderated: one in so many nanoseconds.  0: never.
	 */
	uint64_t	 moderate_ns;
	struct hvh_shown shown;
};

/* EINVAL: configuration; ENOMEM. */
int	hvh_create(const struct hvh_config *cf, const struct hvh_ops *ops,
	    void *arg, struct hvh **hp);
/* The caller sees to it that no other call is under way. */
void	hvh_destroy(struct hvh *h);
/*
 * As a power cycle of the VM, devices kept.  Waits for I/O under way, which
 * otherwise would write to the memory of the guest that boots next.
 */
void	hvh_reset(struct hvh *h);

/* --- Processor side --- */

/*
 * Fills regs (EAX, EBX, ECX, EDX) for a hypervisor leaf, or, for leaf 1,
 * sets the hypervisor bit in what the caller read from the processor.
 * Returns false for leaves that are not the hypervisor's.
 */
bool	hvh_cpuid(struct hvh *h, uint32_t vp, uint32_t leaf, uint32_t subleaf,
	    uint32_t regs[4]);
/* 0; EPERM: the guest gets #GP; ENOENT: not a hypervisor MSR. */
int	hvh_rdmsr(struct hvh *h, uint32_t vp, uint32_t msr, uint64_t *val);
int	hvh_wrmsr(struct hvh *h, uint32_t vp, uint32_t msr, uint64_t val);
/* RCX, RDX, R8 of the call; returns RAX. */
uint64_t hvh_hypercall(struct hvh *h, uint32_t vp, uint64_t control,
	    uint64_t input, uint64_t output);

/* Places what waits for vp, as hvh_ops.attend asked; on vp's own thread. */
void	hvh_attend(struct hvh *h, uint32_t vp);
/*
 * The guest has signalled a connection without hvh_hypercall(); see
 * hvh_ops.listen.  Does not kick: the caller runs hvh_pump() next.
 */
void	hvh_signal(struct hvh *h, uint32_t connection);
/* For statistics: how many such signals there were, told when convenient. */
void	hvh_signals_count(struct hvh *h, uint64_t count);

/* --- Pump --- */

/*
 * Does all that is to be done now and returns the time (ops->now) at which it
 * must be called again even without a kick, UINT64_MAX: none.  Never blocks.
 */
uint64_t hvh_pump(struct hvh *h);
/* The same, unless another thread has the pump: then false, and no round. */
bool	hvh_pump_try(struct hvh *h, uint64_t *at);
/* Readable when storage completions wait for hvh_pump(); -1: there is none. */
int	hvh_pump_fd(struct hvh *h);

/* --- Management side: storage --- */

struct hvh_blk_params {
	const char	*path;		/* file or block device; NULL: memory */
	uint64_t	 size;		/* of a memory back end, bytes */
	uint32_t	 block_size;	/* 512, 4096; a CD-ROM also 2048 */
	bool		 readonly;
	bool		 write_through;	/* no volatile cache */
	bool		 no_uring;	/* plain pread and pwrite */
	bool		 create;	/* make the file if absent, of size */
	/*
	 * The open descriptor fd is the file, path (may be NULL) only its
	 * name.  Taken over on success, the caller's still on failure.
	 */
	bool		 have_fd;
	int		 fd;
};

/*
 * errno of the failure and a sentence in err (errlen bytes) that names the
 * file and the reason.
 */
int	hvh_blk_open(struct hvh *h, const struct hvh_blk_params *bp,
	    struct hvh_blk **blk, char *err, size_t errlen);
/* Only while attached to nothing. */
void	hvh_blk_close(struct hvh_blk *blk);

struct hvh_scsi_params {
	struct hvh_guid	 instance;
	uint16_t	 max_subchannels;	/* 0 to 15 */
	uint32_t	 max_transfer;		/* bytes, 0: 1 MiB */
	uint16_t	 max_version;		/* VSTOR, 0: 0x0602 */
	bool		 monitored;		/* signalled through the monitor
						 * page, if there is one */
};

struct hvh_lun_params {
	struct hvh_blk	*blk;		/* the LUN's from now on */
	bool		 cdrom;
	char		 serial[21];	/* VPD 80; empty: made from the ids */
	bool		 no_unmap;
};

/* The offer goes out at once if the guest is connected (hot add). */
int	hvh_scsi_add(struct hvh *h, const struct hvh_scsi_params *sp,
	    struct hvh_scsi **scsi);
/*
 * Rescinds the controller and closes its back ends once they are idle.  If a
 * rescind has taken it from the guest before, scsi is still good until here.
 */
void	hvh_scsi_remove(struct hvh_scsi *scsi);
/* lun 0 to 63, path and target 0.  EEXIST, EINVAL; ENODEV: rescinded. */
int	hvh_scsi_attach(struct hvh_scsi *scsi, unsigned lun,
	    const struct hvh_lun_params *lp);
/* Requests under way end with an error; then the back end is closed. */
int	hvh_scsi_detach(struct hvh_scsi *scsi, unsigned lun);
/* An IDE-accelerated disk: ide channel and drive are 0 or 1. */
int	hvh_ide_add(struct hvh *h, unsigned channel, unsigned drive,
	    const struct hvh_lun_params *lp, struct hvh_scsi **scsi);

/* --- Management side: network back ends --- */

enum hvh_netbe_kind {
	HVH_NETBE_TAP,		/* a Linux tap interface */
	HVH_NETBE_SOCKET,	/* a unix socket */
	HVH_NETBE_USER		/* NAT in user mode, with DHCP and DNS */
};

struct hvh_netbe_params {
	enum hvh_netbe_kind kind;
	/*
	 * Of the interface, made if absent; path of the socket to connect to.
	 * A frame is a packet of a datagram or seqpacket socket; in a stream
	 * each is preceded by its length, 4 bytes, big-endian.
	 */
	const char	*name;
	/*
	 * The open descriptor fd is the tap or the socket, name (may be NULL)
	 * only what to call it.  Taken over on success, the caller's still on
	 * failure.
	 */
	bool		 have_fd;
	int		 fd;
	bool		 restricted;	/* user: reaches only the host's DHCP */
	uint32_t	 mtu;		/* user: of its side, 0: 1500 */
};

struct hvh_netbe_stats {
	uint64_t	tx_frames, tx_bytes;	/* from the adapter */
	uint64_t	tx_dropped;		/* no link, no room, errors */
	uint64_t	rx_frames, rx_bytes;	/* to the adapter */
	uint64_t	rx_dropped;		/* malformed, nobody there */
};

/* As hvh_blk_open(). */
int	hvh_netbe_open(struct hvh *h, const struct hvh_netbe_params *np,
	    struct hvh_netbe **be, char *err, size_t errlen);
/* Two that are joined in memory.  ENOMEM. */
int	hvh_netbe_pair(struct hvh *h, struct hvh_netbe *be[2]);
/*
 * Layers: *be becomes one upon what it was, which closes with it.  On failure
 * *be is what it was.
 */
struct hvh_netbe_pcap {
	const char	*path;		/* of a pcapng file, made anew */
	bool		 have_fd;	/* fd is it; as above */
	int		 fd;
	uint32_t	 snap;		/* bytes kept of a frame, 0: all */
};
int	hvh_netbe_capture(struct hvh_netbe **be,
	    const struct hvh_netbe_pcap *cp, char *err, size_t errlen);

/* How often, in millionths of frames, each on its own, in both directions. */
struct hvh_netbe_faults {
	uint64_t	 seed;		/* the same faults each time */
	uint32_t	 loss;
	uint32_t	 duplicate;
	uint32_t	 reorder;	/* passed by the next ones */
	uint32_t	 corrupt;	/* one bit of it flipped */
	uint64_t	 delay_ns;	/* of all */
	uint64_t	 jitter_ns;	/* and so much more at most */
};
int	hvh_netbe_disturb(struct hvh_netbe **be,
	    const struct hvh_netbe_faults *fp);

void	hvh_netbe_get_stats(struct hvh_netbe *be, struct hvh_netbe_stats *st);
/* Only while attached to nothing. */
void	hvh_netbe_close(struct hvh_netbe *be);

/* --- Management side: network adapters --- */

struct hvh_net_params {
	struct hvh_guid	 instance;
	uint8_t		 mac[6];	/* unicast */
	uint16_t	 max_channels;	/* 1 to 64, 0: 8; the primary counts */
	uint32_t	 max_version;	/* NVSP, 0: 0x00060001 */
	uint32_t	 max_mtu;	/* of IP, 1500 to 9202, 0: 9000 */
	uint64_t	 speed;		/* bit/s, 0: 10 Gbit/s */
	bool		 link_down;	/* to begin with */
	bool		 monitored;	/* signalled through the monitor
					 * page, if there is one */
	struct hvh_netbe *be;		/* the adapter's from now on */
};

struct hvh_net_stats {
	uint64_t	 tx_packets, tx_bytes;	/* to the back end */
	uint64_t	 tx_messages;	/* of the guest, with packets in them */
	uint64_t	 tx_large;	/* packets to be cut (TSO) */
	uint64_t	 tx_segments;	/* what these become on the wire */
	uint64_t	 tx_bad;	/* messages refused, status 2 */
	uint64_t	 tx_drops;	/* not taken: no link, no back end */
	uint64_t	 rx_packets, rx_bytes;	/* to the guest */
	uint64_t	 rx_messages;	/* transfer-page packets */
	uint64_t	 rx_filtered;	/* not asked for by the guest */
	uint64_t	 rx_no_buffer;	/* lost: the guest holds all buffers */
	uint64_t	 rx_bad;	/* lost: too large, malformed */
	uint64_t	 csum_bad;	/* told as bad to the guest */
	uint32_t	 version;	/* NVSP, 0: not agreed */
	uint32_t	 mtu;		/* of IP, as the guest said */
	uint32_t	 filter;	/* NDIS packet filter */
	uint32_t	 channels;	/* open */
	uint32_t	 rx_held;	/* receive buffers the guest has */
	uint32_t	 alive;		/* hvh_net_keepalive()s answered */
	bool		 link_up;
	bool		 vf_active;	/* the guest sends through the VF */
};

/* As hvh_scsi_add(); EINVAL: a parameter. */
int	hvh_net_add(struct hvh *h, const struct hvh_net_params *np,
	    struct hvh_net **net);
/* As hvh_scsi_remove(). */
void	hvh_net_remove(struct hvh_net *net);
/* The cable; the guest is told.  ENODEV: rescinded. */
int	hvh_net_link(struct hvh_net *net, bool up);
/*
 * A virtual function with the adapter's MAC has come to the guest or is about
 * to leave it; serial tells the guest which.  ENODEV: rescinded.
 */
int	hvh_net_vf(struct hvh_net *net, bool present, uint32_t serial);
/*
 * Asks the guest's driver whether it is there.  ENODEV: rescinded, or no driver
 * has come so far; ENOMEM.
 */
int	hvh_net_keepalive(struct hvh_net *net);
void	hvh_net_get_stats(struct hvh_net *net, struct hvh_net_stats *st);

/* --- Management side: integration services --- */

enum hvh_ic_kind {
	HVH_IC_HEARTBEAT,
	HVH_IC_SHUTDOWN,
	HVH_IC_TIMESYNC,
	HVH_IC_KVP,		/* data exchange */
	HVH_IC_VSS,		/* backup */
	HVH_IC_FCOPY,		/* guest file copy */
	HVH_IC_KINDS
};

#define	HVH_IC_VERSION(major, minor)	((uint32_t)(major) << 16 | (minor))

struct hvh_ic_params {
	enum hvh_ic_kind kind;
	/* Highest versions offered, HVH_IC_VERSION(); 0: the newest. */
	uint32_t	 max_framework;
	uint32_t	 max_version;
};

/* As hvh_scsi_add(); EINVAL: a parameter. */
int	hvh_ic_add(struct hvh *h, const struct hvh_ic_params *ip,
	    struct hvh_ic **ic);
/* As hvh_scsi_remove(). */
void	hvh_ic_remove(struct hvh_ic *ic);

enum hvh_ic_state {
	HVH_IC_CLOSED,		/* no driver of the guest has opened it */
	HVH_IC_NEGOTIATING,	/* asked for versions, no answer yet; a guest
				 * may wait until its daemon runs */
	HVH_IC_READY,
	HVH_IC_REFUSED,		/* none of our versions is the guest's */
	HVH_IC_GONE		/* rescinded */
};

struct hvh_ic_info {
	enum hvh_ic_kind kind;
	enum hvh_ic_state state;
	uint32_t	 framework;	/* agreed, HVH_IC_VERSION() */
	uint32_t	 version;
	uint64_t	 requests;	/* sent, negotiations too */
	uint64_t	 answers;	/* each to one of them */
	uint64_t	 stale;		/* late, twice, or to nothing asked */
	uint64_t	 bad;		/* malformed */
	uint64_t	 timeouts;
	/* Request to answer, ns; negotiations are left out. */
	uint64_t	 rtt_last, rtt_max;
};

void	hvh_ic_get_info(struct hvh_ic *ic, struct hvh_ic_info *ii);
/* Asks for versions anew, behind what is under way, as after a restore. */
void	hvh_ic_renegotiate(struct hvh_ic *ic);

/* What guests answer, HRESULT. */
#define	HVH_IC_OK		0u
#define	HVH_IC_FAIL		0x80004005u
#define	HVH_IC_NO_MORE		0x80070103u	/* no such item, the end */
#define	HVH_IC_NOT_SUPPORTED	0x80070032u
#define	HVH_IC_NOT_FOUND	0x80041002u	/* no such adapter */
#define	HVH_IC_INVALID		0x80070057u
#define	HVH_IC_EXISTS		0x80070050u
#define	HVH_IC_DISK_FULL	0x80070070u
#define	HVH_IC_LOCKED		0x800704F7u
#define	HVH_IC_NOT_CONNECTED	0x8007048Fu

struct hvh_kvp_item;
struct hvh_kvp_ip;

/*
 * How an order ended.  error: ETIMEDOUT, no answer in time; ECONNRESET, the
 * guest closed the service or was reset; EPROTO, the answer makes no sense;
 * ECANCELED, taken back.  0: the guest's answer is status and what follows.
 */
struct hvh_ic_result {
	int		 error;
	uint32_t	 status;
	const uint8_t	*body;		/* behind the message header */
	uint32_t	 len;
	const struct hvh_kvp_item *item;	/* of get and enumerate */
	const struct hvh_kvp_ip *ip;		/* of get_ip */
	uint32_t	 flags;		/* of a VSS check */
	uint64_t	 bytes;		/* file copy: taken by the guest */
	const char	*step;		/* VSS, file copy: what it was that
					 * failed, or NULL */
};

/*
 * Called once for each order that was taken (its function returned 0), in
 * hvh_pump() or in the function that ends the service, hvh_destroy() at the
 * latest.  A callback: it may not call the library.
 */
typedef void hvh_ic_done(void *arg, const struct hvh_ic_result *r);

/*
 * All orders: ENODEV, rescinded; ENOTCONN, hvh_ic_info.state is not READY;
 * EINVAL, a parameter, or another kind of service; EBUSY, one is under way;
 * ENOTSUP, the guest's version does not have it; EAGAIN, too many wait.
 */

/* Any message: for tests, and for what has no function here. */
int	hvh_ic_raw(struct hvh_ic *ic, uint16_t type, const void *body,
	    size_t len, uint64_t limit_ns, hvh_ic_done *done, void *arg);

enum hvh_heartbeat_state {
	HVH_HEARTBEAT_NO_CONTACT,	/* never answered since it opened */
	HVH_HEARTBEAT_OK,
	HVH_HEARTBEAT_LOST		/* answered, but no more */
};

struct hvh_heartbeat_info {
	enum hvh_heartbeat_state state;
	uint64_t	 sent, answered;
	uint64_t	 missed;	/* intervals without an answer */
	uint64_t	 wrong;		/* the answer was not sequence + 1 */
	uint64_t	 last;		/* ops->now of the last answer, or 0 */
	uint32_t	 application;	/* 0 unknown, 1 healthy, 2 critical,
					 * 3 stopped, as the guest says */
};

void	hvh_heartbeat_get_info(struct hvh_ic *ic,
	    struct hvh_heartbeat_info *hi);

enum hvh_shutdown_kind {
	HVH_SHUTDOWN_POWEROFF,
	HVH_SHUTDOWN_REBOOT,		/* from 3.1 on */
	HVH_SHUTDOWN_HIBERNATE		/* from 3.2 on */
};

/* The guest's status says whether it will; then it goes down in its time. */
int	hvh_shutdown(struct hvh_ic *ic, enum hvh_shutdown_kind kind, bool force,
	    hvh_ic_done *done, void *arg);

struct hvh_time_info {
	int64_t		 shift;		/* ns the guest is told too much */
	uint64_t	 syncs, samples;	/* answered */
};

/*
 * From now on guests are told a wall clock that is ns ahead of ops->wall,
 * relative to before.  sync: they are told at once to set theirs; else the
 * next sample, every 5 s, shows it.
 */
void	hvh_time_step(struct hvh_ic *ic, int64_t ns, bool sync);
/* As after a resume: the guest shall set its clock now. */
int	hvh_time_sync(struct hvh_ic *ic, hvh_ic_done *done, void *arg);
void	hvh_time_get_info(struct hvh_ic *ic, struct hvh_time_info *ti);

enum hvh_kvp_pool {
	HVH_KVP_EXTERNAL,		/* the host's administrator writes */
	HVH_KVP_GUEST,			/* the guest's users write */
	HVH_KVP_AUTO,			/* the guest's facts */
	HVH_KVP_AUTO_EXTERNAL,		/* facts about the host */
	HVH_KVP_POOLS
};

enum hvh_kvp_type {
	HVH_KVP_STRING = 1,
	HVH_KVP_EXPAND = 2,
	HVH_KVP_U32 = 4,
	HVH_KVP_U64 = 8
};

#define	HVH_KVP_KEY_MAX		255	/* UTF-16 units */
#define	HVH_KVP_VALUE_MAX	1023

/* Text is UTF-8; a guest's invalid UTF-16 becomes U+FFFD. */
struct hvh_kvp_item {
	enum hvh_kvp_type type;
	const char	*key;
	const char	*text;		/* of a string; a guest's number, too */
	uint64_t	 number;	/* of U32, U64 */
};

/* EINVAL, also: not UTF-8, empty or too long. */
int	hvh_kvp_set(struct hvh_ic *ic, enum hvh_kvp_pool pool,
	    const struct hvh_kvp_item *item, hvh_ic_done *done, void *arg);
int	hvh_kvp_get(struct hvh_ic *ic, enum hvh_kvp_pool pool, const char *key,
	    hvh_ic_done *done, void *arg);
int	hvh_kvp_delete(struct hvh_ic *ic, enum hvh_kvp_pool pool,
	    const char *key, hvh_ic_done *done, void *arg);
/* Beyond the last: HVH_IC_NO_MORE. */
int	hvh_kvp_enumerate(struct hvh_ic *ic, enum hvh_kvp_pool pool,
	    uint32_t index, hvh_ic_done *done, void *arg);
/*
 * Enumerates to the end: item for each, a callback as done is; status of the
 * result 0 if it was the end.  EPROTO in it: a pool without end.
 */
int	hvh_kvp_list(struct hvh_ic *ic, enum hvh_kvp_pool pool,
	    void (*item)(void *arg, const struct hvh_kvp_item *item),
	    hvh_ic_done *done, void *arg);

/* Lists have ';' between addresses. */
struct hvh_kvp_ip {
	const char	*adapter;	/* get: its MAC, "00:15:5D:...";
					 * set: its instance, "{...}" */
	uint8_t		 family;	/* 1 IPv4, 2 IPv6, 3 both */
	bool		 dhcp;
	const char	*addresses, *subnets, *gateways, *dns;
};

int	hvh_kvp_get_ip(struct hvh_ic *ic, const char *adapter,
	    hvh_ic_done *done, void *arg);
int	hvh_kvp_set_ip(struct hvh_ic *ic, const struct hvh_kvp_ip *ip,
	    hvh_ic_done *done, void *arg);

enum hvh_vss_op {
	HVH_VSS_CHECK,			/* can it be done hot? */
	HVH_VSS_FREEZE,
	HVH_VSS_THAW
};

/*
 * One operation.  A freeze that is not answered in time is followed by a thaw
 * before done is called: who was too slow is not left frozen.
 */
int	hvh_vss(struct hvh_ic *ic, enum hvh_vss_op op, hvh_ic_done *done,
	    void *arg);
/*
 * Check, freeze, hold, thaw; step tells which begins, "check", "freeze",
 * "hold", "thaw", a callback as done is.
 */
int	hvh_vss_snapshot(struct hvh_ic *ic, uint64_t hold_ns,
	    void (*step)(void *arg, const char *step), hvh_ic_done *done,
	    void *arg);

struct hvh_fcopy_params {
	const char	*name;		/* of the file, in the guest; UTF-8 */
	const char	*path;		/* of its directory there, with a slash
					 * at its end */
	bool		 overwrite;
	bool		 create_path;
	uint64_t	 size;
	/*
	 * Fills buf with len bytes from offset on; an errno ends the copy.
	 * progress, may be NULL: so many bytes are there.  Both callbacks.
	 */
	int		(*read)(void *arg, uint64_t offset, void *buf,
			    size_t len);
	void		(*progress)(void *arg, uint64_t bytes);
	void		*arg;
};

int	hvh_fcopy(struct hvh_ic *ic, const struct hvh_fcopy_params *fp,
	    hvh_ic_done *done, void *arg);
/* The copy under way ends with ECANCELED; the guest is told. */
void	hvh_fcopy_cancel(struct hvh_ic *ic);

/* --- Management side: faults --- */

/* Where a fault strikes. */
enum hvh_fault_point {
	HVH_FAULT_MSG_OUT,	/* channel message to the guest; key: type */
	HVH_FAULT_MSG_IN,	/* channel message from the guest; key: type */
	HVH_FAULT_POST,		/* the post-message hypercall; key: 0 */
	HVH_FAULT_SIGNAL_OUT,	/* event to the guest; key: channel id; there
				 * are no bytes */
	HVH_FAULT_PKT_OUT,	/* packet to the guest; key: its first word,
				 * VSTOR operation or NVSP type, or, of an
				 * integration service, HVH_FAULT_IC() */
	HVH_FAULT_PKT_IN,	/* packet from the guest; key: as above */
	HVH_FAULT_BLK,		/* back-end I/O; key: SCSI opcode */
	HVH_FAULT_RNDIS_OUT,	/* RNDIS message to the guest; key: type */
	HVH_FAULT_HYPERCALL,	/* any of them, before it is looked at; key:
				 * call code; HVH_FAULT_STATUS only */
	HVH_FAULT_POINTS
};

enum hvh_fault_action {
	HVH_FAULT_DROP,		/* as if it had never been */
	HVH_FAULT_DELAY,	/* by arg nanoseconds */
	HVH_FAULT_DUP,		/* twice */
	HVH_FAULT_HOLD,		/* keep until the next passes: reorder */
	HVH_FAULT_CORRUPT,	/* write arg's low len bytes at offset */
	HVH_FAULT_TRUNCATE,	/* to arg bytes */
	HVH_FAULT_STATUS,	/* refuse with status arg (hypercall status,
				 * message status, NTSTATUS; an errno of the
				 * back end) */
	HVH_FAULT_RESCIND,	/* rescind the channel's device, then go on */
	HVH_FAULT_CALL,		/* only call hook */
};

#define	HVH_FAULT_ANY	UINT32_MAX
/* Messages of this type, 0: negotiation. */
#define	HVH_FAULT_IC(type)	(0x49430000u | (type))

struct hvh_fault {
	enum hvh_fault_point	 point;
	enum hvh_fault_action	 action;
	uint32_t		 key;		/* HVH_FAULT_ANY: all */
	uint32_t		 skip;		/* let so many pass first */
	uint32_t		 times;		/* strike so often, 0: always */
	uint64_t		 arg;
	uint32_t		 offset;	/* HVH_FAULT_CORRUPT */
	uint32_t		 len;		/* 1, 2, 4 or 8 */
	/* HVH_FAULT_CALL: may look at and change the bytes; may be NULL. */
	void			(*hook)(void *arg, void *data, size_t *len);
	void			*hook_arg;
};

/* Faults are asked in the order they were added.  ENOSPC after 32. */
int	hvh_fault_add(struct hvh *h, const struct hvh_fault *f);
void	hvh_fault_clear(struct hvh *h);
/* How often a fault of this point has struck since the start. */
uint64_t hvh_fault_count(struct hvh *h, enum hvh_fault_point point);

/* --- Management side: looking --- */

struct hvh_stats {
	uint64_t	hypercalls;	/* all */
	uint64_t	posts;		/* post message */
	uint64_t	signals_in;	/* signal event */
	uint64_t	signals_spurious; /* found nothing to do */
	uint64_t	interrupts;	/* vectors asserted */
	uint64_t	events_out;	/* event flags raised 0 to 1 */
	uint64_t	events_saved;	/* data sent without a signal */
	uint64_t	messages_in, messages_out, messages_bad;
	uint64_t	packets_in, packets_out;
	uint64_t	rings_corrupt;	/* channels shut: the guest's fault */
	uint64_t	resets_connected; /* a guest ended without UNLOAD */
	uint64_t	msr_reads, msr_writes;
	uint64_t	io_requests, io_read_bytes, io_write_bytes, io_errors;
	uint64_t	io_flushes, io_unmaps;
	/* Frames of all adapters, from and to the guest; lost to it. */
	uint64_t	net_tx_packets, net_tx_bytes;
	uint64_t	net_rx_packets, net_rx_bytes, net_rx_lost;
	/* Served ones: hypercalls, the VPs they reached, ranges in lists. */
	uint64_t	flushes, flush_vps, flush_ranges;
	uint64_t	ipis, ipi_vps;
	uint64_t	spins;		/* long spin waits */
	uint64_t	time_reads;	/* of the reference counter */
	uint64_t	tsc_moves;	/* new contents of the TSC page */
	uint64_t	timer_sets;	/* synthetic timers' counts written */
	uint64_t	timer_expiries;
	uint64_t	apic_eois, apic_icrs, apic_tprs;	/* by MSR */
	uint64_t	crashes;	/* reported */
	uint32_t	connected;	/* VMBus version word, 0: none */
	uint32_t	channels_offered, channels_open, gpadls;
};

void	hvh_get_stats(struct hvh *h, struct hvh_stats *st);

enum hvh_chan_state {
	HVH_CHAN_HIDDEN,	/* no guest has been told of it */
	HVH_CHAN_OFFERED,
	HVH_CHAN_OPENING,
	HVH_CHAN_OPEN,
	HVH_CHAN_CORRUPT,	/* open, but its rings are given up */
	HVH_CHAN_CLOSING,
	HVH_CHAN_RESCINDED,	/* the guest has not released it */
};

#define	HVH_VP_NONE	UINT32_MAX

/* A channel and what went through it since it was offered. */
struct hvh_chan_info {
	uint32_t	 id;		/* 0: hidden */
	uint16_t	 subidx;	/* 0: primary */
	enum hvh_chan_state state;
	uint32_t	 vp;		/* its signals go there, HVH_VP_NONE */
	struct hvh_guid	 type;
	struct hvh_guid	 instance;
	uint64_t	 packets_in, packets_out;
	uint64_t	 bytes_in, bytes_out;	/* descriptors counted */
	uint64_t	 signals_in;	/* seen: several may be one */
	uint64_t	 signals_out;
	uint64_t	 events_saved;
};

/* At most max, in order of offer; returns how many there are. */
unsigned hvh_get_channels(struct hvh *h, struct hvh_chan_info *ci,
	    unsigned max);

/* Rescind the device on channel id chan (a primary).  ENOENT. */
int	hvh_rescind(struct hvh *h, uint32_t chan);

#endif	/* HVHOST_H */
