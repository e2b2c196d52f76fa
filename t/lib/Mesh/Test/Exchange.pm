package Mesh::Test::Exchange;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# One request on a connection of its own, and its reply.  The request is sent
# by new(), so that several may be under way; reply() waits, at most
# "timeout" seconds.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes ();

use Mesh::Test::Reply;

use constant TIMEOUT_SECONDS => 30;


sub new {
    my ($class, %opt) = @_;

    my $self = bless { %opt, received => '' }, $class;

    $self->{end} = Time::HiRes::time() + ($opt{timeout} || TIMEOUT_SECONDS);

    $self->{socket} = IO::Socket::INET->new(
        PeerAddr => $opt{address} || '127.0.0.1',
        PeerPort => $opt{port},
        Timeout  => $opt{timeout} || TIMEOUT_SECONDS,
    ) or die "connect to port $opt{port}: $@\n";

    $self->{socket}->blocking(0);
    $self->write($opt{bytes} // request_bytes(%opt));

    return $self;
}


# The reply; what came so far when the deadline passes or the server closes.

sub reply {
    my ($self) = @_;

    while (!$self->is_complete) {
        last unless $self->read;
    }

    close $self->{socket};

    return Mesh::Test::Reply->new($self->{received}, $self->reply_options);
}


# Text that matches has arrived, or the deadline has passed: for streams.

sub wait_for {
    my ($self, $pattern) = @_;

    while ($self->{received} !~ $pattern) {
        return 0 unless $self->read;
    }

    return 1;
}


sub received { return $_[0]->{received} }
sub abort    { return close $_[0]->{socket} }


sub write {
    my ($self, $bytes) = @_;

    my $sent = 0;
    my $select = IO::Select->new($self->{socket});

    while ($sent < length $bytes) {
        my $left = $self->{end} - Time::HiRes::time();
        last if $left <= 0;

        # a server that refuses may answer before it has read all

        if ($select->can_read(0)) {
            last unless $self->read;
        }

        next unless $select->can_write($left < 0.1 ? $left : 0.1);

        my $n = syswrite $self->{socket}, $bytes, 65536, $sent;
        next if !defined $n && $!{EAGAIN};
        last unless defined $n;

        $sent += $n;
    }

    return $sent == length $bytes;
}


sub read {
    my ($self) = @_;

    my $left = $self->{end} - Time::HiRes::time();

    return 0 if $left <= 0
                || !IO::Select->new($self->{socket})->can_read($left);

    my $n = sysread $self->{socket}, $self->{received}, 65536,
                    length $self->{received};

    return 1 if !defined $n && $!{EAGAIN};
    return $n ? 1 : 0;
}


# Bytes given by a test are read to the end of the connection: there may be
# several responses, or something that is none.

sub is_complete {
    my ($self) = @_;

    return 0 if defined $self->{bytes} && !$self->{one};

    my $missing = Mesh::Test::Reply->new(
        $self->{received}, $self->reply_options)->missing;

    return defined $missing && $missing == 0;
}


sub reply_options {
    my ($self) = @_;

    return (no_body => ($self->{method} // '') eq 'HEAD');
}


sub request_bytes {
    my (%opt) = @_;

    my @headers = header_list($opt{headers});
    my %given = header_names(@headers);
    my $body = $opt{body};

    if (exists $opt{json}) {
        $body = JSON::PP->new->utf8->canonical->allow_nonref
                ->encode($opt{json});
        push @headers, 'Content-Type', 'application/json'
            unless $given{'content-type'};
    }

    push @headers, Authorization => "Bearer $opt{token}"
        if defined $opt{token};
    push @headers, 'Content-Length', length $body
        if defined $body && !$given{'content-length'}
           && !$given{'transfer-encoding'};

    unshift @headers, Host => "127.0.0.1:$opt{port}" unless $given{host};
    push @headers, Connection => 'close' unless $given{connection};

    my $text = "$opt{method} $opt{path} HTTP/1.1\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    return "$text\r\n" . ($body // '');
}


# Headers are given as a hash, or as a flat list where order or repetition
# matters.

sub header_list {
    my ($headers) = @_;

    return ref $headers eq 'ARRAY' ? @$headers : %{ $headers || {} };
}


sub header_names {
    my (@headers) = @_;

    return map { lc $headers[$_] => 1 } grep { $_ % 2 == 0 } 0 .. $#headers;
}


1;
