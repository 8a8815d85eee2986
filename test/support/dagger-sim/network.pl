# Holds a session's network: a namespace with a bridge. Ends with its parent.
use strict;
our $NEWNET;
do(($0 =~ m{^(.*)/})[0] . '/calls.pl') or die $@;
bound();
call('unshare', $NEWNET) == 0 or die "unshare: $!\n";
ip('link add name br0 index 1000 type bridge', 'addr add 10.87.0.1/16 dev br0', 'link set br0 up', 'link set lo up');
syswrite(STDOUT, "up\n");
sleep 1000000 while 1;
