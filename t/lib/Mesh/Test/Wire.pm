package Mesh::Test::Wire;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The MongoDB server of a test: the stand-in of t/mongo-wire, which lives as
# long as this object, or a real one.
#
#     my $server = Mesh::Test::Wire->new;
#     $server->uri;                        of a database of its own
#     $server->fault(fault => 'slow', command => 'find', ms => 300);
#     $server->tell(primary => \0);
#     $server->stats->{commands}{find};
#
# With a URI in MESH_TEST_MONGO_URI (t/mongo sets it) that server is used, in
# a database whose name begins with mesh_test_; faults then die.

use strict;
use warnings;

use IO::Socket::INET ();
use IPC::Open2 ();
use JSON::PP ();

use Mesh::Test;

use constant PYTHON => '/usr/bin/python3';    # Debian's, with its packages

my $databases = 0;


# Why there can be none; empty: there can.

sub why_not {
    my ($class) = @_;

    my $module = Mesh::Test::slurp(Mesh::Test::build_folder()
                                   . '/ngx_http_mesh_storage_module.so');

    return 'the modules were built without libmongoc-dev'
        if index($module, 'mongoc_init') < 0;

    return '' if $ENV{MESH_TEST_MONGO_URI};

    return 'there is no ' . PYTHON unless -x PYTHON;

    my ($rc) = Mesh::Test::run([ PYTHON, '-c',
                                 'import bson, mongomock' ]);

    return 'python3-mongomock and python3-bson are not installed' if $rc != 0;

    return '';
}


# Options are those of mongo_wire.py, as a list.

sub new {
    my ($class, @options) = @_;

    my $self = bless { owner => $$, database => 'mesh' }, $class;

    if ($ENV{MESH_TEST_MONGO_URI}) {
        $self->{real} = $ENV{MESH_TEST_MONGO_URI};
        $self->{database} = "mesh_test_$$" . '_' . $databases++;
        return $self;
    }

    $self->{pid} = IPC::Open2::open2($self->{out}, $self->{in}, PYTHON,
        Mesh::Test->top . '/t/mongo-wire/mongo_wire.py', @options);

    my $out = $self->{out};

    ($self->{port}, $self->{control}) = split ' ', <$out> // '';

    die "mongo_wire.py did not start\n" unless defined $self->{control};

    return $self;
}


sub port    { return $_[0]{port} }
sub control { return $_[0]{control} }
sub real    { return defined $_[0]{real} }


# The URI without a database.

sub host {
    my ($self) = @_;

    return $self->uri('') =~ s{/(?=\?|$)}{}r;
}


# The URI, of another database when one is named.

sub uri {
    my ($self, $database) = @_;

    $database //= $self->{database};

    return "mongodb://127.0.0.1:$self->{port}/$database"
        unless $self->real;

    my ($head, $options)
        = $self->{real} =~ m{^(mongodb(?:\+srv)?://[^/?]+)(?:/[^?]*)?(\?.*)?$}
        or die "MESH_TEST_MONGO_URI is no URI of MongoDB\n";

    return "$head/$database" . ($options // '');
}


# One line to the control port of the stand-in, and its answer.

sub tell {
    my ($self, %wish) = @_;

    die "faults need the stand-in\n" if $self->real;

    my $socket = IO::Socket::INET->new(PeerHost => '127.0.0.1',
                                       PeerPort => $self->{control},
                                       Timeout  => 10)
        or die "mongo_wire.py has no control port: $@\n";

    print {$socket} JSON::PP::encode_json(\%wish), "\n";

    my $answer = JSON::PP::decode_json(scalar <$socket> // '{}');

    die "mongo_wire.py: $answer->{error}\n" if $answer->{error};

    return $answer;
}


sub fault { my ($self, %rule) = @_; return $self->tell(%rule) }
sub heal  { return $_[0]->tell(clear => 1) }
sub stats { return $_[0]->tell(stats => 1) }


# Ends the stand-in: from now on nobody listens on its port.

sub stop {
    my ($self) = @_;

    return unless $self->{pid};

    local $?;

    close $self->{in};
    waitpid $self->{pid}, 0;
    delete $self->{pid};

    return;
}


# Starts it again, empty, on the same port.

sub restart {
    my ($self) = @_;

    $self->stop;

    my $again = Mesh::Test::Wire->new('--port', $self->{port});

    @$self{qw(pid in out control)} = @$again{qw(pid in out control)};
    delete $again->{pid};

    return;
}


sub DESTROY {
    my ($self) = @_;

    $self->stop if $self->{owner} == $$;

    return;
}


1;
