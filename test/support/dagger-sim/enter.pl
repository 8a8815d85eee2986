# Runs a command as the first process of new namespaces, in the network namespace given; ends as it ends, 128 + signal
# when killed. Goes when its parent goes, and takes the command along.
# enter.pl NETWORK-NAMESPACE COMMAND...
use strict;
use POSIX qw(:sys_wait_h);
my ($network, @command) = @ARGV;
my $arm = (POSIX::uname())[4] eq 'aarch64';
my ($prctl, $setns, $unshare) = $arm ? (167, 268, 97) : (157, 308, 272);
syscall($prctl, 1, 9, 0, 0, 0);
exit 137 if getppid() == 1;
open(my $space, '<', $network) or die "$network: $!\n";
syscall($setns, fileno($space), 0x40000000) == 0 or die "setns: $!\n";
close $space;
# Mounts, UTS, IPC, process ids.
syscall($unshare, 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000) == 0 or die "unshare: $!\n";
# The child begins once it is bound to us and we still live.
pipe(my $armed, my $tell_armed) or die "pipe: $!\n";
pipe(my $go, my $tell_go) or die "pipe: $!\n";
my $child = fork() // die "fork: $!\n";
if ($child == 0) {
  close $armed; close $tell_go;
  syscall($prctl, 1, 9, 0, 0, 0);
  syswrite($tell_armed, 'x');
  sysread($go, my $byte, 1) or POSIX::_exit(137);
  exec { $command[0] } @command or die "$command[0]: $!\n";
}
close $go; close $tell_armed;
sysread($armed, my $byte, 1);
syswrite($tell_go, 'x');
POSIX::close($_) for 0, 1, 2, 3;
waitpid($child, 0);
POSIX::_exit(WIFSIGNALED($?) ? 128 + WTERMSIG($?) : WEXITSTATUS($?));
