// What changes the kernel for everybody: clocks, names, modules, accounts, the log. Each asks for what is so already,
// or for what the kernel refuses only after it has granted the right to ask.
#include <errno.h>
#include <fcntl.h>
#include <linux/quota.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/quota.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

// The call got behind the question of rights where it fails for its argument.
static int outcome_behind(const char* step, long result, int error) {
  return result < 0 && errno == error ? succeeded() : outcome(step, result);
}

static int set_clock(char** arguments) {
  (void)arguments;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return outcome("clock_settime", clock_settime(CLOCK_REALTIME, &now));
}

static int set_time_zone(char** arguments) {
  (void)arguments;
  struct timezone zone;
  if (gettimeofday(&(struct timeval){0}, &zone) != 0) return broken("gettimeofday");
  return outcome("settimeofday", settimeofday(NULL, &zone));
}

static struct timex current_tick(void) {
  struct timex timex = {0};
  adjtimex(&timex);
  timex.modes = ADJ_TICK;
  return timex;
}

static int adjust_clock(char** arguments) {
  (void)arguments;
  struct timex timex = current_tick();
  return outcome("adjtimex", adjtimex(&timex));
}

static int adjust_one_clock(char** arguments) {
  (void)arguments;
  struct timex timex = current_tick();
  return outcome("clock_adjtime", clock_adjtime(CLOCK_REALTIME, &timex));
}

static int set_host_name(char** arguments) {
  (void)arguments;
  struct utsname names;
  uname(&names);
  return outcome("sethostname", sethostname(names.nodename, strlen(names.nodename)));
}

static int set_domain_name(char** arguments) {
  (void)arguments;
  struct utsname names;
  uname(&names);
  return outcome("setdomainname", setdomainname(names.domainname, strlen(names.domainname)));
}

static int load_module(char** arguments) {
  (void)arguments;
  return outcome_behind("init_module", syscall(SYS_init_module, "", 0L, ""), ENOEXEC);
}

static int load_module_file(char** arguments) {
  (void)arguments;
  return outcome_behind("finit_module", syscall(SYS_finit_module, -1, "", 0), EBADF);
}

static int remove_module(char** arguments) {
  (void)arguments;
  return outcome_behind("delete_module", syscall(SYS_delete_module, "plybox-none", O_NONBLOCK), ENOENT);
}

static int load_kernel(char** arguments) {
  (void)arguments;
  // No segments: nothing would be loaded.
  return outcome("kexec_load", syscall(SYS_kexec_load, 0L, 0L, NULL, 0L));
}

static int load_kernel_file(char** arguments) {
  (void)arguments;
  return outcome_behind("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0L, NULL, 0L), EBADF);
}

static int reboot_machine(char** arguments) {
  (void)arguments;
  // A wrong magic number, which is looked at after the right to reboot is.
  return outcome_behind("reboot", syscall(SYS_reboot, 0, 0, 0, NULL), EINVAL);
}

static int swap_on(char** arguments) {
  (void)arguments;
  return outcome_behind("swapon", swapon("/plybox-none", 0), ENOENT);
}

static int swap_off(char** arguments) {
  (void)arguments;
  return outcome_behind("swapoff", swapoff("/plybox-none"), ENOENT);
}

static int account(char** arguments) {
  (void)arguments;
  return outcome_behind("acct", acct("/plybox-none/file"), ENOENT);
}

static int quota(char** arguments) {
  (void)arguments;
  return outcome("quotactl", quotactl(QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL));
}

// Reads what the kernel logged.
static int read_log(char** arguments) {
  (void)arguments;
  static char buffer[4096];
  return outcome("syslog", klogctl(3, buffer, sizeof(buffer)));
}

static int set_log_level(char** arguments) {
  (void)arguments;
  // A level that there is not.
  return outcome_behind("syslog", klogctl(8, NULL, 99), EINVAL);
}

const struct attack kernel_attacks[] = {
    {"set-clock", set_clock},
    {"set-time-zone", set_time_zone},
    {"adjust-clock", adjust_clock},
    {"adjust-one-clock", adjust_one_clock},
    {"set-host-name", set_host_name},
    {"set-domain-name", set_domain_name},
    {"load-module", load_module},
    {"load-module-file", load_module_file},
    {"remove-module", remove_module},
    {"load-kernel", load_kernel},
    {"load-kernel-file", load_kernel_file},
    {"reboot", reboot_machine},
    {"swap-on", swap_on},
    {"swap-off", swap_off},
    {"account", account},
    {"quota", quota},
    {"read-log", read_log},
    {"set-log-level", set_log_level},
    END_OF_ATTACKS,
};
