# Stand-in for the engine host's runc: list, state, ps, update, events, exec, kill, pause, resume over the simulated
# engine's containers. Limits are the kernel's own: they go to the container's real cgroups, version 1 or 2.
# Perl without modules: it starts in a fraction of the time of other interpreters, and a test run starts it a thousand
# times.
use strict;
my ($HERE) = __FILE__ =~ m{^(.*)/};
my $CONTAINERS = "$ENV{DAGGER_SIM_ENGINE}/containers";
my ($HUGE, $NOWHERE, $EINTR) = (1 << 62, '/nonexistent', 4);

sub fail {
  print STDERR qq(time="now" level=error msg="$_[0]"\n);
  exit 1;
}
sub raw {
  open(my $file, '<', join '/', @_) or return '';
  local $/;
  return <$file> // '';
}
sub contents { my $text = raw(@_); $text =~ s/\s+\z//; return $text }
sub number { my $text = contents(@_); return $text =~ /^-?\d+$/ ? $text + 0 : 0 }
sub put {
  my ($value, @path) = @_;
  my $path = join '/', @path;
  open(my $file, '>', $path) or fail("failed to write $path: $!");
  syswrite($file, "$value") or fail("failed to write $path: $!");
}
sub table { return map { my @words = split ' '; @words == 2 ? ($words[0] => $words[1] + 0) : () } split /\n/, $_[0] }

# The record as the engine wrote it; undef when there is none, or not all of it yet.
sub record {
  my $text = contents("$CONTAINERS/$_[0]/state.json");
  return $text =~ /\}$/ && $text =~ /"pid": (\d+)/ ? { id => $_[0], pid => $1, text => $text } : undef;
}
sub state {
  my ($id) = @_;
  fail("invalid id format: $id") if !defined $id || $id eq '' || $id =~ m{/};
  return record($id) // fail('container does not exist');
}
sub running {
  opendir(my $folder, $CONTAINERS) or return ();
  # What a killed session left behind is no container any more.
  return grep { defined && -e "/proc/$_->{pid}" } map { record($_) } sort grep { !/^\./ } readdir $folder;
}
# Folder by controller; version 2 has one, under the empty name.
sub groups { return map { my ($controller, $path) = split /\t/; ($controller => $path) } split /\n/, contents("$CONTAINERS/$_[0]{id}/cgroups") }

# Go's flag syntax: --name value, --name=value; ends at the first operand.
sub options {
  my ($words, $flags, $switches) = @_;
  my %given = (env => []);
  my %flags = map { $_ => 1 } @$flags;
  my %switches = map { $_ => 1 } @{$switches // []};
  while (@$words && $words->[0] =~ /^-./) {
    my $word = shift @$words;
    last if $word eq '--';
    my ($name, $value) = $word =~ /^-+([^=]*)(?:=(.*))?$/s;
    if ($switches{$name}) { $given{$name} = $value // 'true' }
    elsif ($flags{$name}) {
      if (!defined $value) {
        fail("flag needs an argument: --$name") unless @$words;
        $value = shift @$words;
      }
      if ($name eq 'env' || $name eq 'e') { push @{$given{env}}, $value } else { $given{$name} = $value }
    }
    else { fail("flag provided but not defined: -$name") }
  }
  return %given;
}

sub list {
  my %given = options(\@_, ['format', 'f'], ['quiet', 'q']);
  my @rows = running();
  if (($given{format} // $given{f} // '') eq 'json') {
    my @texts = map { (my $text = $_->{text}) =~ s/\n\s*/ /g; $text } @rows;
    print @texts ? '[' . join(',', @texts) . ']' : 'null', "\n";
  }
  else { print map { $given{q} || $given{quiet} ? "$_->{id}\n" : "$_->{id} $_->{pid} running\n" } @rows }
}

sub update_v1 {
  my ($group, $given) = @_;
  my ($wanted, $swap) = map { $_ // 0 } @$given{'memory', 'memory-swap'};
  if ($wanted && $group->{memory}) {
    my $both = "$group->{memory}/memory.memsw.limit_in_bytes";
    my @order = ([$wanted, "$group->{memory}/memory.limit_in_bytes"]);
    push @order, [$swap, $both] if $swap && -e $both;
    # A limit may never be above the one for both, on the way neither.
    my $now = number($both);
    @order = reverse @order if @order == 2 && ($wanted < 0 || ($now > 0 && $wanted > $now));
    put(@$_) for @order;
  }
  if ($group->{cpu}) {
    put($given->{'cpu-period'}, $group->{cpu}, 'cpu.cfs_period_us') if defined $given->{'cpu-period'};
    put($given->{'cpu-quota'}, $group->{cpu}, 'cpu.cfs_quota_us') if defined $given->{'cpu-quota'};
  }
  my $pids = $given->{'pids-limit'};
  put($pids > 0 ? $pids : 'max', $group->{pids}, 'pids.max') if $group->{pids} && defined $pids;
}
sub update_v2 {
  my ($path, $given) = @_;
  my ($wanted, $swap, $quota, $pids) = @$given{'memory', 'memory-swap', 'cpu-quota', 'pids-limit'};
  if (defined $wanted) {
    put($wanted > 0 ? $wanted : 'max', $path, 'memory.max');
    put($swap < 0 ? 'max' : $swap > $wanted ? $swap - $wanted : 0, $path, 'memory.swap.max') if $swap;
  }
  if (defined $quota || defined $given->{'cpu-period'}) {
    my $most = ($quota // -1) > 0 ? $quota : 'max';
    put($most . ' ' . ($given->{'cpu-period'} // 100000), $path, 'cpu.max');
  }
  put($pids > 0 ? $pids : 'max', $path, 'pids.max') if defined $pids;
}
sub update {
  my %given = options(\@_, [qw(memory memory-swap memory-reservation cpu-period cpu-quota cpu-share pids-limit blkio-weight cpuset-cpus cpuset-mems)]);
  my %group = groups(state($_[0]));
  if (exists $group{''}) { update_v2($group{''}, \%given) } else { update_v1(\%group, \%given) }
}

sub object { my @pairs; while (my ($name, $value) = splice @_, 0, 2) { push @pairs, qq("$name":$value) } return '{' . join(',', @pairs) . '}' }
sub events {
  my %given = options(\@_, ['interval'], ['stats']);
  my $record = state($_[0]);
  fail('only events --stats is simulated') unless $given{stats};
  my %group = groups($record);
  my ($pids, $most, @cpu, @throttling, @memory, %raw);
  if (exists $group{''}) {
    my $path = $pids = $group{''};
    my %use = table(contents($path, 'cpu.stat'));
    @cpu = map { ($use{$_} // 0) * 1000 } qw(usage_usec system_usec user_usec);
    @throttling = ($use{nr_periods} // 0, $use{nr_throttled} // 0, ($use{throttled_usec} // 0) * 1000);
    my $limit = contents($path, 'memory.max');
    @memory = ($limit =~ /^\d+$/ ? $limit : $HUGE, number($path, 'memory.current'), number($path, 'memory.peak'), 0);
    %raw = table(contents($path, 'memory.stat'));
  }
  else {
    my ($cpuacct, $cpu, $memory) = map { $_ // $NOWHERE } @group{qw(cpuacct cpu memory)};
    $pids = $group{pids} // $NOWHERE;
    my %use = table(contents($cpuacct, 'cpuacct.stat'));
    @cpu = (number($cpuacct, 'cpuacct.usage'), map { ($use{$_} // 0) * 10_000_000 } qw(system user));
    my %held = table(contents($cpu, 'cpu.stat'));
    @throttling = map { $held{$_} // 0 } qw(nr_periods nr_throttled throttled_time);
    @memory = map { number($memory, "memory.$_") } qw(limit_in_bytes usage_in_bytes max_usage_in_bytes failcnt);
    %raw = table(contents($memory, 'memory.stat'));
  }
  $most = contents($pids, 'pids.max');
  my $none = object(limit => 0, failcnt => 0);
  my @limit = $most =~ /^\d+$/ ? (limit => $most) : ();
  print object(type => '"stats"', id => qq("$record->{id}"), data => object(
    cpu => object(
      usage => object(total => $cpu[0], kernel => $cpu[1], user => $cpu[2]),
      throttling => object(periods => $throttling[0], throttledPeriods => $throttling[1], throttledTime => $throttling[2]),
    ),
    cpuset => '{}',
    memory => object(
      cache => $raw{cache} // 0,
      usage => object(limit => $memory[0], usage => $memory[1], max => $memory[2], failcnt => $memory[3]),
      swap => $none, kernel => $none, kernelTCP => $none, raw => object(%raw),
    ),
    pids => object(current => number($pids, 'pids.current'), @limit),
    blkio => '{}', hugetlb => '{}', intel_rdt => '{}', network_interfaces => 'null',
  )), "\n";
}

sub execute {
  do "$HERE/calls.pl" or die $@;
  my %given = options(\@_, [qw(cwd env e user u additional-gids g process p pid-file cap console-socket)], [qw(tty t detach d no-new-privs ignore-paused)]);
  fail('container id cannot be empty') unless @_;
  my $record = state(shift);
  shift if @_ && $_[0] eq '--';
  fail('process args cannot be empty') unless @_;
  my $bundle = "$CONTAINERS/$record->{id}";
  my ($own_uid, $own_gid, $own_cwd) = split /\0/, raw("$bundle/process");
  my ($uid, $gid) = split /:/, $given{user} // $given{u} // "$own_uid:$own_gid";
  my $environment = "$bundle/exec-$$";
  my $mask = umask 0077;
  put(join("\0", raw("$bundle/environment"), @{$given{env}}), $environment);
  umask $mask;
  my %group = groups($record);
  my @groups = map { open(my $file, '>', "$_/cgroup.procs") or fail("cgroup: $!"); $file } values %group;
  my @spaces = map { open(my $file, '<', "/proc/$record->{pid}/ns/$_") or fail("container not running"); $file } qw(ipc uts net pid mnt);
  pipe(my $out, my $out_end) && pipe(my $err, my $err_end) or fail("pipe: $!");
  call('setns', fileno($_), 0) == 0 or fail("setns: $!") for @spaces;
  $SIG{CHLD} = sub { };
  my $child = fork() // fail("fork: $!");
  if ($child == 0) {
    $SIG{CHLD} = 'DEFAULT';
    syswrite($_, '0') for @groups;
    call('prctl', 38, 1, 0, 0, 0) if $given{'no-new-privs'};
    call('dup3', fileno($out_end), 1, 0);
    call('dup3', fileno($err_end), 2, 0);
    @ARGV = ('exec', "$bundle/root", $uid, $gid || 0, '-', $given{cwd} // $own_cwd, $environment, @_);
    do "$HERE/init.pl";
    print STDERR $@;
    leave(1);
  }
  $SIG{PIPE} = 'IGNORE';
  close $_ for $out_end, $err_end, @groups, @spaces;
  # As runc does it: ends only when what the command left behind has closed its output too.
  my %target = (fileno($out) => [$out, \*STDOUT], fileno($err) => [$err, \*STDERR]);
  my $code;
  while (%target || !defined $code) {
    if (!defined $code && waitpid($child, 1) == $child) {
      $code = code($?);
      next;
    }
    my $ready = '';
    vec($ready, $_, 1) = 1 for keys %target;
    # The end of the command interrupts it, unless it ends just before.
    next if select($ready, undef, undef, defined $code ? undef : 0.1) <= 0;
    for my $from (grep { vec($ready, $_, 1) } keys %target) {
      my ($source, $sink) = @{$target{$from}};
      my $read = sysread($source, my $chunk, 65536);
      if (!defined $read || $read == 0) { delete $target{$from}; next }
      for (my $at = 0; $at < $read;) {
        my $written = syswrite($sink, $chunk, $read - $at, $at);
        # Interrupted by the end of the command; another failure means that the reader is gone.
        last unless defined $written || $! == $EINTR;
        $at += $written // 0;
      }
    }
  }
  leave($code);
}

sub signal {
  options(\@_, [], ['all', 'a']);
  my ($record, $name) = (state($_[0]), $_[1] // 'SIGTERM');
  $name =~ s/^SIG//;
  my $sent = eval { kill $name, $record->{pid} } // fail("unknown signal $name");
  fail('container not running') if $sent == 0;
}

sub freeze {
  my ($frozen, $id) = @_;
  my %group = groups(state($id));
  my $shows;
  if (exists $group{''}) {
    put($frozen, $group{''}, 'cgroup.freeze');
    $shows = sub { contents($group{''}, 'cgroup.events') =~ /frozen $frozen/ };
  }
  elsif (defined $group{freezer}) {
    my $wanted = $frozen ? 'FROZEN' : 'THAWED';
    put($wanted, $group{freezer}, 'freezer.state');
    $shows = sub { contents($group{freezer}, 'freezer.state') eq $wanted };
  }
  else { fail('unable to freeze: no freezer cgroup') }
  for (1 .. 1000) {
    return if $shows->();
    select(undef, undef, undef, 0.01);
  }
  fail('unable to freeze');
}

sub processes {
  my %given = options(\@_, ['format', 'f']);
  my %group = groups(state($_[0]));
  my @pids = split /\n/, contents($group{(sort keys %group)[0] // 'none'} // $NOWHERE, 'cgroup.procs');
  print(($given{format} // $given{f} // '') eq 'json' ? '[' . join(',', @pids) . ']' : join("\n", @pids), "\n");
}

my @words = @ARGV;
my %given = options(\@words, ['root', 'log', 'log-format'], ['debug', 'systemd-cgroup', 'version', 'v']);
if ($given{version} || $given{v}) {
  print "runc version 1.2.1\nspec: 1.2.0\n";
  exit 0;
}
my %commands = (
  list => \&list, update => \&update, events => \&events, exec => \&execute, kill => \&signal, ps => \&processes,
  state => sub { print state($_[0])->{text}, "\n" },
  pause => sub { freeze(1, @_) },
  resume => sub { freeze(0, @_) },
);
my $command = shift @words // '';
# Operands first, flags after them: runc takes both orders.
($commands{$command} // fail(qq(no help topic for "$command")))->(@words);
