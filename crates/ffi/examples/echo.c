/* Two stacks in memory: a thread of one echoes, the other talks to it. Virtual time: it takes none.
 *
 *   cc echo.c $(pkg-config --cflags --libs switchboard) -o echo && ./echo
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <switchboard.h>

static void check(long result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

/* Accepts one caller and sends back what it says. */
static void *serve(void *listener)
{
    char buffer[512];
    ssize_t length;
    int caller = sb_accept(*(int *)listener, NULL, NULL);

    check(caller, "accept");
    while ((length = sb_read(caller, buffer, sizeof buffer)) > 0)
        check(sb_write(caller, buffer, length), "write");
    check(length, "read");
    sb_close(caller);
    return NULL;
}

int main(void)
{
    struct sb_config here = { .size = sizeof here, .flags = SB_VIRTUAL_TIME };
    struct sb_config there = here;
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(7) };
    const char *words = "hello from a network without a kernel\n";
    char buffer[512];
    ssize_t length;
    size_t received = 0;
    pthread_t thread;
    int stacks[2], listener, caller;

    here.addresses = "10.0.0.1/24";
    there.addresses = "10.0.0.2/24";
    inet_pton(AF_INET, "10.0.0.2", &server.sin_addr);
    check(sb_stack_open_pair(stacks, &here, &there), "open two stacks");

    listener = sb_socket_on(stacks[1], AF_INET, SOCK_STREAM, 0);
    check(sb_bind(listener, (struct sockaddr *)&server, sizeof server), "bind");
    check(sb_listen(listener, 1), "listen");
    pthread_create(&thread, NULL, serve, &listener);

    caller = sb_socket_on(stacks[0], AF_INET, SOCK_STREAM, 0);
    check(sb_connect(caller, (struct sockaddr *)&server, sizeof server), "connect");
    check(sb_write(caller, words, strlen(words)), "write");
    check(sb_shutdown(caller, SHUT_WR), "shutdown");
    while ((length = sb_read(caller, buffer + received, sizeof buffer - received)) > 0)
        received += length;
    check(length, "read");
    fwrite(buffer, 1, received, stdout);

    pthread_join(thread, NULL);
    sb_close(caller);
    sb_close(listener);
    sb_close(stacks[0]);
    sb_close(stacks[1]);
    return received == strlen(words) ? 0 : 1;
}
