package Mesh::Test;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Runs a real nginx with the modules of this tree, in a folder of its own, on
# free ports, as whoever runs the test.  Core Perl only.
#
#     use Mesh::Test;
#
#     my $mesh = Mesh::Test->new(modules => ['ucan'], server => q{
#         location / { ucan_require /room/read; return 200; }
#     })->start;
#
#     is($mesh->get('/')->status, 401, 'no token, no action');
#
# Helpers never assert; one that cannot do its work dies and says why.  What
# every test promises is checked here at the end: nginx stops in time, and no
# log holds an [alert], [crit], [emerg] or a sanitizer's report.
#
# Options of new():
#
#     modules   short names: ucan storage identity room status
#     workers   number of worker processes (1)
#     server    text inside one server on %%PORT%%
#     conf      text inside http {}
#     main      text at the top level
#     data      true: a data folder made by "mesh init" stands at %%DATA%%
#     files     { name => text } to be put below %%PREFIX%%
#     env       { name => value } for nginx
#
# Placeholders in all texts: %%PORT%% (and %%PORT1%%, %%PORT2%%, ...: free
# ports), %%PREFIX%%, %%DATA%%, %%DID%% (of the mesh), %%TOP%% (the tree).
#
# Environment:
#
#     MESH_TEST_BUILD   build folder, taken as it is (default: .build, made
#                       up to date by conf/build first)
#     MESH_TEST_ASAN    1: the sanitizer flavour
#     MESH_TEST_NGINX   nginx binary
#     MESH_TEST_MONGO   mongodb://HOST[?options] of a server that all nodes
#                       are to use, each a database of its own
#     MESH_TEST_KEEP    1: keep the folder of each nginx, say where it is
#     MESH_TEST_CATLOG  1: print the error log at the end
#     MESH_TEST_DEBUG   1: error log at level debug

use strict;
use warnings;

use Cwd ();
use Fcntl qw(:flock);
use File::Basename ();
use File::Path ();
use File::Spec ();
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes ();

use Mesh::Test::Exchange;
use Mesh::Test::Socket;

our @MODULES = qw(ucan storage identity room status);

our $TOP = Cwd::realpath(
    File::Basename::dirname(Cwd::realpath(__FILE__)) . '/../../..');

use constant START_SECONDS => 60;
use constant STOP_SECONDS  => 30;

my %live;                   # nginx that run now, by address
my @problems;               # what is wrong at the end, as sentences
my @locks;                  # handles that keep our ports ours
my $built = 0;
my $owner_pid = $$;         # a fork of the test must not clean up


# Life.

sub new {
    my ($class, %opt) = @_;

    my $self = bless {
        modules => [],
        workers => 1,
        files   => {},
        env     => {},
        %opt,
        ports   => [],
        allowed => [],
        build   => build_folder(),
    }, $class;

    $self->{prefix} = File::Temp::tempdir('mesh-test-XXXXXXXX', TMPDIR => 1);

    chmod 0755, $self->{prefix};
    mkdir "$self->{prefix}/$_" or die "mkdir: $!" for qw(logs tmp);

    if ($self->{data}) {
        $self->init_data("$self->{prefix}/data");
    }

    $self->write_file($_, $self->expand($self->{files}{$_}))
        for sort keys %{ $self->{files} };

    $self->write_file('nginx.conf', $self->configuration);

    return $self;
}


# A whole node: every module, the real conf/mesh.conf.

sub full {
    my ($class, %opt) = @_;

    require Mesh::Test::Node;

    return Mesh::Test::Node->new(%opt)->start;
}


sub start {
    my ($self) = @_;

    die "nginx runs already\n" if $self->{pid};

    my $pid = fork;
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        $self->exec_nginx("$self->{prefix}/logs/stderr.log");
    }

    $self->{pid} = $pid;
    $live{ 0 + $self } = $self;

    eval {
        $self->wait_for(sub { $self->is_up }, START_SECONDS,
                        'start of nginx');
        1;
    } or die $@ . $self->describe;

    return $self;
}


# What is known of an nginx that does not do what it should.

sub describe {
    my ($self) = @_;

    my @processes = map { "$_: " . command_line($_) . ' in '
                          . (slurp("/proc/$_/wchan") || '?') . "\n" }
                    grep { defined } $self->{pid}, $self->children;
    my @lines = split /\n/, $self->error_log;
    my $from = @lines > 20 ? $#lines - 19 : 0;

    return join '', @processes, map { "$_\n" } @lines[$from .. $#lines];
}


sub is_up {
    my ($self) = @_;

    if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
        delete $self->{pid};
        delete $live{ 0 + $self };
        $self->{quiet} = 1;

        die "nginx did not start:\n" . $self->read_file('logs/stderr.log')
            . $self->error_log;
    }

    return 0 unless grep { -s "$self->{prefix}/$_" } 'nginx.pid';
    return 0 if $self->workers < $self->{workers};

    my ($port) = grep { defined } @{ $self->{ports} };

    return !defined $port || can_connect($port);
}


# SIGTERM; nginx must be gone in time.

sub stop {
    my ($self, %opt) = @_;

    my $pid = delete $self->{pid} or return;
    my $signal = $opt{signal} || 'TERM';

    delete $live{ 0 + $self };

    kill $signal => $pid;

    if (!reap($pid, $opt{seconds} || STOP_SECONDS)) {
        push @problems, "nginx did not stop on SIG$signal";
        kill KILL => $pid;
        reap($pid, STOP_SECONDS);
    }

    $self->note_problems;

    return 1;
}


# SIGQUIT: nginx serves what it has and goes.

sub quit { return $_[0]->stop(signal => 'QUIT', seconds => $_[1]) }


# SIGHUP; returns when new workers run and the old ones know that they are on
# their way out.

sub reload {
    my ($self) = @_;

    my %old = map { $_ => 1 } $self->workers;

    kill HUP => $self->{pid};

    $self->wait_for(
        sub {
            my @now = $self->workers;
            return @now >= $self->{workers} && !grep { $old{$_} } @now;
        },
        START_SECONDS, 'new workers after a reload');

    return $self;
}


# A worker dies, as kill -9 does it; returns its pid when another has taken
# its place.

sub kill_worker {
    my ($self, $pid) = @_;

    my %old = map { $_ => 1 } $self->workers;

    ($pid) = sort { $a <=> $b } keys %old unless defined $pid;

    $self->allow_log(qr/process $pid exited on signal 9/);
    $self->allow_log(qr/shared memory zone ".*" was locked by $pid/);

    kill KILL => $pid;

    $self->wait_for(
        sub {
            my @now = $self->workers;
            return @now >= $self->{workers}
                   && !(grep { $_ == $pid } @now)
                   && grep { !$old{$_} } @now;
        },
        START_SECONDS, "a worker in the place of $pid");

    return $pid;
}


# Pids of the workers that take connections.

sub workers {
    my ($self) = @_;

    return grep {
        command_line($_) =~ /^nginx: worker process(?! is shutting)/
    } $self->children;
}


# The same of those that are on their way out.

sub leaving_workers {
    my ($self) = @_;

    return grep { command_line($_) =~ /is shutting down/ } $self->children;
}


sub children {
    my ($self) = @_;

    my $pid = $self->{pid} or return;

    open my $file, '<', "/proc/$pid/task/$pid/children" or return;

    return split ' ', <$file> // '';
}


sub command_line {
    my ($pid) = @_;

    open my $file, '<', "/proc/$pid/cmdline" or return '';
    local $/;
    my $line = <$file> // '';

    $line =~ tr/\0/ /;

    return $line;
}


# Asking.

# One request on a connection of its own.  Options: body, json, headers (a
# hash or a flat list), token (bearer), port, timeout.

sub request {
    my ($self, $method, $path, %opt) = @_;

    return $self->begin($method, $path, %opt)->reply;
}


# The same, sent but not waited for: ->reply of what comes back does that.

sub begin {
    my ($self, $method, $path, %opt) = @_;

    return Mesh::Test::Exchange->new(
        port   => $self->port,
        method => $method,
        path   => $path,
        %opt,
    );
}


sub get  { my $self = shift; return $self->request(GET => @_) }
sub head { my $self = shift; return $self->request(HEAD => @_) }
sub del  { my $self = shift; return $self->request(DELETE => @_) }


# A reference is sent as JSON, text as it is.

sub post  { my $self = shift; return $self->request(POST => with_body(@_)) }
sub put   { my $self = shift; return $self->request(PUT => with_body(@_)) }
sub patch { my $self = shift; return $self->request(PATCH => with_body(@_)) }

sub with_body {
    my ($path, $data, %opt) = @_;

    return ($path, %opt) unless defined $data;
    return ($path, (ref $data ? 'json' : 'body') => $data, %opt);
}


# Bytes as given, and whatever comes back until the server closes.

sub raw {
    my ($self, $bytes, %opt) = @_;

    return Mesh::Test::Exchange->new(
        port => $self->port, bytes => $bytes, %opt)->reply;
}


# A WebSocket; see Mesh::Test::Socket for the options.

sub ws {
    my ($self, $path, %opt) = @_;

    return Mesh::Test::Socket->new(port => $self->port, path => $path, %opt);
}


# Programs.

# The mesh command: (rc, out, err).  A leading hash may hold "stdin", "env".

sub mesh {
    my ($self, @args) = @_;

    my $opt = ref $args[0] ? shift @args : {};

    return run([build_folder() . '/mesh', @args], %$opt);
}


# nginx -t on a configuration: (rc, text).  Takes the options of new(), or,
# as one argument, the text of http {}.

sub nginx_t {
    my ($self, @args) = @_;

    my %opt = @args == 1 ? (conf => $args[0]) : @args;
    my %own = ref $self ? map { $_ => $self->{$_} } qw(modules data main) : ();

    my $test = Mesh::Test->new(%own, %opt);

    my ($rc, $out, $err)
        = run([nginx_binary(), $test->nginx_args, '-t'],
              env => $test->environment);

    return ($rc, $out . $err);
}


sub run {
    my ($command, %opt) = @_;

    my @files = map { File::Temp->new } 0 .. 2;

    # a program that hangs is ended, and shows as 128 + SIGALRM

    print { $files[0] } $opt{stdin} // '';
    $files[0]->flush;

    my $pid = fork;
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', $files[0]->filename;
        open STDOUT, '>', $files[1]->filename;
        open STDERR, '>', $files[2]->filename;
        %ENV = (%ENV, %{ $opt{env} || {} });
        alarm $opt{seconds} if $opt{seconds};
        { exec { $command->[0] } @$command }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;

    my $rc = $? & 127 ? 128 + ($? & 127) : $? >> 8;

    return ($rc, map { slurp($_->filename) } @files[1, 2]);
}


# Waiting.

# Calls the condition until it holds, and gives back what it gave.

sub wait_for {
    my ($self, $condition, $seconds, $what) = @_;

    my $end = Time::HiRes::time() + ($seconds || 20);
    my $pause = 0.005;

    while (1) {
        my $value = $condition->();
        return $value if $value;

        last if Time::HiRes::time() > $end;

        Time::HiRes::sleep($pause);
        $pause *= 1.5 if $pause < 0.1;
    }

    die 'waited in vain for ' . ($what || 'a condition') . "\n";
}


# Waits until the error log has a line that matches; gives it back.

sub wait_for_log {
    my ($self, $pattern, $seconds) = @_;

    return $self->wait_for(
        sub { (grep { $_ =~ $pattern } split /\n/, $self->error_log)[0] },
        $seconds, "\"$pattern\" in the error log");
}


# Files and facts.

sub prefix { return $_[0]->{prefix} }
sub data   { return "$_[0]->{prefix}/data" }
sub pid    { return $_[0]->{pid} }
sub top    { return $TOP }

sub did {
    my ($self) = @_;

    my $did = $self->read_file('data/mesh.did');
    $did =~ s/\s+\z//;

    return $did;
}


# The n-th free port of this nginx; 1 is %%PORT%%.

sub port {
    my ($self, $n) = @_;

    $n ||= 1;
    $self->{ports}[$n] ||= free_port();

    return $self->{ports}[$n];
}


sub error_log  { return $_[0]->read_file('logs/error.log') }
sub access_log { return $_[0]->read_file('logs/access.log') }


# A line of the error log that is meant to be there.

sub allow_log {
    my ($self, $pattern) = @_;

    push @{ $self->{allowed} }, $pattern;

    return;
}


sub read_file {
    my ($self, $name) = @_;

    return slurp("$self->{prefix}/$name");
}


sub write_file {
    my ($self, $name, $text) = @_;

    my $path = "$self->{prefix}/$name";

    File::Path::make_path(File::Basename::dirname($path));

    open my $file, '>:raw', $path or die "$path: $!";
    print {$file} $text;
    close $file or die "$path: $!";

    return $path;
}


sub slurp {
    my ($path) = @_;

    open my $file, '<:raw', $path or return '';
    local $/;

    return scalar(<$file>) // '';
}


sub json_encode { return JSON::PP->new->utf8->canonical->encode($_[-1]) }
sub json_decode { return JSON::PP->new->utf8->decode($_[-1]) }


# Configuration.

sub configuration {
    my ($self) = @_;

    my %wanted = map { $_ => 1 } @{ $self->{modules} };
    my @unknown = grep {
        my $name = $_;
        !grep { $name eq $_ } @MODULES;
    } keys %wanted;

    die "unknown module: @unknown\n" if @unknown;

    my $load = join '', map { 'load_module ' . $self->module($_) . ";\n" }
               grep { $wanted{$_} } @MODULES;

    my $server = defined $self->{server} ? <<"END" : '';
    server {
        listen       127.0.0.1:%%PORT%%;
        server_name  localhost;

$self->{server}
    }
END

    my $temp = join '', map { "    ${_}_temp_path  tmp/$_;\n" }
               qw(client_body proxy fastcgi uwsgi scgi);

    return $self->expand(<<"END");
$load
@{[ $self->{main} // '' ]}
@{[ $> == 0 ? 'user  root;' : '' ]}
pid                nginx.pid;
error_log          logs/error.log @{[ log_level() ]};
worker_processes   $self->{workers};

events {
    worker_connections  1024;
}

http {
    access_log  logs/access.log;

$temp
@{[ $self->{conf} // '' ]}
$server
}
END
}


sub expand {
    my ($self, $text) = @_;

    $text =~ s/%%PORT(\d*)%%/$self->port($1 || 1)/ge;
    $text =~ s/%%PREFIX%%/$self->{prefix}/g;
    $text =~ s/%%DATA%%/$self->data/ge;
    $text =~ s/%%DID%%/$self->did/ge;
    $text =~ s/%%TOP%%/$TOP/g;

    return $text;
}


sub module {
    my ($self, $name) = @_;

    my $stem = $name eq 'ucan' ? 'ngx_http_ucan_module'
                               : "ngx_http_mesh_${name}_module";

    return "$self->{build}/$stem.so";
}


sub init_data {
    my ($self, $folder) = @_;

    my ($rc, $out, $err) = $self->mesh('init', $folder);

    die "mesh init: $out$err" if $rc != 0;

    return;
}


sub nginx_args {
    my ($self) = @_;

    return ('-p', "$self->{prefix}/", '-e', 'logs/error.log',
            '-c', "$self->{prefix}/nginx.conf");
}


sub environment {
    my ($self) = @_;

    return {
        $self->database,
        %{ $self->{env} },
        %{ sanitizer_options(undef, "$self->{prefix}/logs/sanitizer") },
    };
}


# A database for each node, named after its folder.

sub database {
    my ($self) = @_;

    my $uri = $ENV{MESH_TEST_MONGO} or return;
    my $name = File::Basename::basename($self->{prefix});

    $uri =~ s{(\?|$)}{/$name$1};

    return (MONGODB_URI => $uri);
}


# Environment for programs of the sanitizer flavour; workers have lost their
# stderr and report into a file.

sub sanitizer_options {
    my ($class, $log_path) = @_;

    return {} unless is_asan();

    my $where = defined $log_path ? ":log_path=$log_path" : '';

    return {
        ASAN_OPTIONS  => "detect_odr_violation=0:detect_leaks=0$where",
        UBSAN_OPTIONS => "print_stacktrace=1$where",
    };
}


sub exec_nginx {
    my ($self, $stderr) = @_;

    my @command = (nginx_binary(), $self->nginx_args, '-g', 'daemon off;');

    open STDIN, '<', File::Spec->devnull;
    open STDOUT, '>', $stderr;
    open STDERR, '>&', \*STDOUT;

    %ENV = (%ENV, %{ $self->environment });

    # PR_SET_PDEATHSIG: a test that is killed takes its nginx along

    my $prctl = { x86_64 => 157, aarch64 => 167 }->{ (POSIX::uname())[4] };
    syscall $prctl, 1, POSIX::SIGTERM() if $prctl;

    { exec { $command[0] } @command }
    POSIX::_exit(127);
}


# What this run works with.

sub is_asan { return $ENV{MESH_TEST_ASAN} ? 1 : 0 }

sub log_level { return $ENV{MESH_TEST_DEBUG} ? 'debug' : 'info' }


# The build folder, with modules and the mesh command up to date in it.

sub build_folder {
    if (!$built) {
        my ($rc, $text) = Mesh::Test->build;

        die "conf/build: $text" if $rc != 0;
        $built = 1;
    }

    return output_folder();
}


sub output_folder {
    my $given = $ENV{MESH_TEST_BUILD};

    return Cwd::realpath($given) // $given if $given;
    return "$TOP/.build" . (is_asan() ? '/asan' : '');
}


# Brings targets of conf/build up to date: (rc, text).  Does nothing when the
# build folder was given.

sub build {
    my ($class, @targets) = @_;

    return (0, '') if $ENV{MESH_TEST_BUILD};

    my ($rc, $out, $err)
        = run([ "$TOP/conf/build", is_asan() ? '--asan' : (), @targets ]);

    return ($rc, $out . $err);
}


sub nginx_binary {
    return $ENV{MESH_TEST_NGINX} if $ENV{MESH_TEST_NGINX};
    return build_folder() . '/nginx' if is_asan();

    my ($found) = grep { -x } map { "$_/nginx" }
                  split(/:/, $ENV{PATH} // ''), '/usr/sbin';

    die "there is no nginx; on Debian install: nginx\n" unless $found;

    return $found;
}


# A port below those that the kernel gives to clients, locked against other
# tests of this user for as long as this test runs.

sub free_port {
    my $folder = File::Spec->tmpdir . "/mesh-test-ports-$>";

    mkdir $folder, 0700;

    for (1 .. 500) {
        my $port = 10000 + int rand 20000;

        open my $lock, '>', "$folder/$port" or die "$folder/$port: $!";
        next unless flock $lock, LOCK_EX | LOCK_NB;

        my $probe = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port,
            Listen => 1, ReuseAddr => 1);
        next unless $probe;

        push @locks, $lock;

        return $port;
    }

    die "no free port\n";
}


sub can_connect {
    my ($port) = @_;

    return IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5) ? 1 : 0;
}


sub reap {
    my ($pid, $seconds) = @_;

    my $end = Time::HiRes::time() + $seconds;

    while (Time::HiRes::time() < $end) {
        return 1 if waitpid($pid, POSIX::WNOHANG()) != 0;
        Time::HiRes::sleep(0.01);
    }

    return 0;
}


# The end.

# What the logs hold that no test may leave there.

sub note_problems {
    my ($self) = @_;

    return if $self->{quiet};

    for my $path (glob "$self->{prefix}/logs/*") {
        my ($name) = $path =~ m{([^/]+)\z};

        next if $name =~ /^access/;

        if ($name =~ /^sanitizer/) {
            push @problems, "$name: " . slurp($path);
            next;
        }

        for my $line (split /\n/, slurp($path)) {
            next unless $line =~ /\[(?:alert|crit|emerg)\]
                                  |Sanitizer|runtime[ ]error:/x;
            next if grep { $line =~ $_ } @{ $self->{allowed} };

            push @problems, "$name: $line";
        }
    }

    return;
}


sub DESTROY {
    my ($self) = @_;

    return if $$ != $owner_pid || $self->{gone};

    local ($@, $?, $!);

    $self->{gone} = 1;
    $self->stop;

    if ($ENV{MESH_TEST_CATLOG}) {
        print STDERR map { "# $_\n" } split /\n/, $self->error_log;
    }

    if ($ENV{MESH_TEST_KEEP}) {
        print STDERR "# kept $self->{prefix}\n";

    } else {
        File::Path::remove_tree($self->{prefix}, { safe => 1 });
    }

    return;
}


END {
    if ($$ == $owner_pid) {
        my $status = $?;

        $_->DESTROY for values %live;

        if (@problems) {
            print STDERR map { "# $_\n" } 'nginx was not clean:',
                  map { split /\n/ } @problems;
            $status ||= 1;
        }

        $? = $status;
    }
}


# A test that is stopped by a signal stops its nginx too.

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';


1;
