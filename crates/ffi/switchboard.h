/* libswitchboard: the BSD socket calls over a TCP/IP stack in user space.
 *
 * Names, meanings and errno are the C library's with `sb_` before them; docs/guide/c.md lists what
 * is different. Written by `cargo xtask ffi-header` from crates/ffi/src/abi: change it there.
 */

#ifndef SWITCHBOARD_H
#define SWITCHBOARD_H

#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
/* Glibc declares it with _GNU_SOURCE only. */
struct mmsghdr;


// `sb_config.flags`: time is the stack's own. It stands still while any thread that uses the
// stack runs, and jumps to the next timer when all of them wait in a call. Only for
// `sb_stack_open_pair`.
#define SB_VIRTUAL_TIME 1

// How a stack is made. Set everything to zero, then what you want.
struct sb_config {
  // `sizeof(struct sb_config)`.
  size_t size;
  // Its addresses: `"10.0.0.1/24"`, or several, separated by commas or spaces.
  const char *addresses;
  // Largest packet of the link, in octets; 0: 1500.
  uint32_t mtu;
  // `SB_VIRTUAL_TIME`, or 0.
  uint32_t flags;
  // Ports and sequence numbers come from it, for tests that repeat; 0: from the system.
  uint64_t seed;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// write(2).
//
// `data` is null or good for reading `length` octets.
ssize_t sb_write(int fd, const void *data, size_t length);

// writev(2).
//
// `parts` is null or an array of `count`, each good for reading.
ssize_t sb_writev(int fd, const struct iovec *parts, int count);

// send(2).
//
// As for `sb_write`.
ssize_t sb_send(int fd, const void *data, size_t length, int flags);

// sendto(2).
//
// `data` is null or good for reading `length` octets, `to` null or good for reading `to_length`.
ssize_t sb_sendto(int fd,
                  const void *data,
                  size_t length,
                  int flags,
                  const struct sockaddr *to,
                  socklen_t to_length);

// sendmsg(2). Control messages are not read.
//
// `message` is null or points to a message whose parts and name are good for reading.
ssize_t sb_sendmsg(int fd, const struct msghdr *message, int flags);

// sendmmsg(2).
//
// `messages` is null or an array of `count`, each as for `sb_sendmsg`.
int sb_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);

// read(2).
//
// `buffer` is null or good for writing `length` octets.
ssize_t sb_read(int fd, void *buffer, size_t length);

// readv(2).
//
// `parts` is null or an array of `count`, each good for writing.
ssize_t sb_readv(int fd, const struct iovec *parts, int count);

// recv(2).
//
// As for `sb_read`.
ssize_t sb_recv(int fd, void *buffer, size_t length, int flags);

// recvfrom(2).
//
// `buffer` is null or good for writing `length` octets; `from_length` is null or good for reading
// and writing, `from` null or good for writing `*from_length`.
ssize_t sb_recvfrom(int fd,
                    void *buffer,
                    size_t length,
                    int flags,
                    struct sockaddr *from,
                    socklen_t *from_length);

// recvmsg(2). There are no control messages.
//
// `message` is null or points to a message whose parts and name are good for writing.
ssize_t sb_recvmsg(int fd, struct msghdr *message, int flags);

// recvmmsg(2). `timeout` bounds the whole call, and is looked at between messages, as on Linux.
//
// `messages` is null or an array of `count`, each as for `sb_recvmsg`; `timeout` is null or good
// for reading.
int sb_recvmmsg(int fd,
                struct mmsghdr *messages,
                unsigned int count,
                int flags,
                struct timespec *timeout);

// poll(2), of our descriptors, the kernel's, or both together.
//
// `entries` is null or an array of `count` that nobody else uses meanwhile.
int sb_poll(struct pollfd *entries, nfds_t count, int timeout);

// ppoll(2), without its signal mask.
//
// As for `sb_poll`; `timeout` is null or good for reading.
int sb_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout);

// epoll_create(2).
int sb_epoll_create(int size);

// epoll_create1(2).
int sb_epoll_create1(int flags);

// epoll_ctl(2): level- and edge-triggered, one-shot; of our descriptors and the kernel's.
//
// `event` is null or good for reading.
int sb_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

// epoll_wait(2).
//
// `events` has room for `count`.
int sb_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout);

// getsockopt(2).
//
// `length` is null or good for reading and writing, `value` null or good for writing `*length`
// octets.
int sb_getsockopt(int fd,
                  int level,
                  int name,
                  void *value,
                  socklen_t *length);

// setsockopt(2).
//
// `value` is null or good for reading `length` octets.
int sb_setsockopt(int fd, int level, int name, const void *value, socklen_t length);

// fcntl(2): `F_GETFL`, `F_SETFL`, `F_GETFD`, `F_SETFD`, `F_DUPFD`, `F_DUPFD_CLOEXEC`. The third
// argument is always given; where the command has none it is not looked at.
int sb_fcntl(int fd,
             int command,
             long argument);

// ioctl(2): `FIONBIO`, `FIONREAD` (`SIOCINQ`), `SIOCOUTQ`, `SIOCOUTQNSD`, `SIOCATMARK`.
//
// `argument` is null or good for reading and writing an `int`.
int sb_ioctl(int fd, unsigned long request, void *argument);

// socket(2) on the stack that `sb_stack_use` named, or the first that was opened (`ENETDOWN`
// where there is none). `SOCK_STREAM` and `SOCK_DGRAM` of `AF_INET` and `AF_INET6`.
int sb_socket(int domain,
              int kind,
              int protocol);

// socket(2) on a stack of your choice.
int sb_socket_on(int stack, int domain, int kind, int protocol);

// bind(2).
//
// `address` is null or good for reading `length` octets.
int sb_bind(int fd, const struct sockaddr *address, socklen_t length);

// listen(2).
int sb_listen(int fd, int backlog);

// accept(2).
//
// As for `sb_accept4`.
int sb_accept(int fd, struct sockaddr *address, socklen_t *length);

// accept4(2).
//
// `length` is null or good for reading and writing, `address` null or good for writing `*length`
// octets.
int sb_accept4(int fd,
               struct sockaddr *address,
               socklen_t *length,
               int flags);

// connect(2).
//
// As for `sb_bind`.
int sb_connect(int fd, const struct sockaddr *address, socklen_t length);

// shutdown(2).
int sb_shutdown(int fd, int how);

// close(2), of a socket, an epoll instance or a stack. A stack whose sockets are all closed
// finishes in the background what they have still to send.
int sb_close(int fd);

// dup(2).
int sb_dup(int fd);

// getsockname(2).
//
// As for `sb_accept4`.
int sb_getsockname(int fd, struct sockaddr *address, socklen_t *length);

// getpeername(2).
//
// As for `sb_accept4`.
int sb_getpeername(int fd, struct sockaddr *address, socklen_t *length);

// Opens a stack over the TUN interface `name`, which is made if there is none (that takes
// `CAP_NET_ADMIN`; addresses and routes of the kernel's side are the caller's to set). Returns the
// stack's descriptor.
//
// `name` is a text, `config` points to a configuration.
int sb_stack_open_tun(const char *name,
                      const struct sb_config *config);

// Opens a stack over a descriptor of the kernel's that carries one IP packet for each read and
// write: a TUN that somebody else opened, a pair of `SOCK_DGRAM` or `SOCK_SEQPACKET` sockets. The
// descriptor stays the caller's, the open file becomes non-blocking. Returns the stack's
// descriptor.
//
// `config` points to a configuration.
int sb_stack_open_fd(int fd,
                     const struct sb_config *config);

// Opens two stacks with a link between them in memory: `stacks[0]` by `first`, `stacks[1]` by
// `second`.
//
// `stacks` has room for two descriptors, `first` and `second` point to configurations.
int sb_stack_open_pair(int *stacks,
                       const struct sb_config *first,
                       const struct sb_config *second);

// `sb_socket` makes its sockets on `stack` from now on, in all threads. Until the first call it
// is the stack that was opened first.
int sb_stack_use(int stack);

// The stack's time: nanoseconds since it was opened. Negative: `errno`.
int64_t sb_stack_time(int stack);

// Sleeps for `nanoseconds` of the stack's time.
int sb_stack_sleep(int stack, uint64_t nanoseconds);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SWITCHBOARD_H */
