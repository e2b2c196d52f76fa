package Mesh::Test::Socket;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A WebSocket client (RFC 6455) that can also do what a client must not.
#
#     my $ws = $mesh->ws('/ws', token => $token);
#
#     $ws->send_json({ type => 'join_room', roomId => $room });
#     my $joined = $ws->recv_json(type => 'room_joined');
#
# Options of new(): port, path, token (Authorization header), headers (hash
# or flat list), subprotocol, timeout (seconds a wait may take).  What is not
# waited for stays in the queue; nothing that arrives is lost.

use strict;
use warnings;

use Digest::SHA ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 ();
use Time::HiRes ();

use Mesh::Test::Exchange;
use Mesh::Test::Reply;

use constant TIMEOUT_SECONDS => 20;

use constant {
    CONTINUATION => 0,
    TEXT         => 1,
    BINARY       => 2,
    CLOSE        => 8,
    PING         => 9,
    PONG         => 10,
};

my $json = JSON::PP->new->utf8->canonical;


sub new {
    my ($class, %opt) = @_;

    my $self = bless {
        timeout => TIMEOUT_SECONDS,
        %opt,
        in      => '',              # bytes that are no whole frame yet
        frames  => [],              # control frames as they came
        texts   => [],              # messages not taken yet
        partial => '',              # of a fragmented message
        key     => MIME::Base64::encode_base64(random_bytes(16), ''),
    }, $class;

    $self->{socket} = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1',
        PeerPort => $opt{port},
        Timeout  => $self->{timeout},
    ) or die "connect to port $opt{port}: $@\n";

    $self->{socket}->blocking(0);
    $self->send_bytes($self->handshake);
    $self->read_handshake;

    return $self;
}


sub handshake {
    my ($self) = @_;

    my @headers = Mesh::Test::Exchange::header_list($self->{headers});
    my %given = Mesh::Test::Exchange::header_names(@headers);
    my @defaults = (
        Upgrade                 => 'websocket',
        Connection              => 'Upgrade',
        'Sec-WebSocket-Key'     => $self->{key},
        'Sec-WebSocket-Version' => 13,
    );

    push @defaults, 'Sec-WebSocket-Protocol' => $self->{subprotocol}
        if defined $self->{subprotocol};

    while (my ($name, $value) = splice @defaults, 0, 2) {
        push @headers, $name, $value unless $given{ lc $name };
    }

    # a test leaves a header out by giving it undef

    for (my $i = 0; $i < @headers; ) {
        defined $headers[$i + 1] ? $i += 2 : splice @headers, $i, 2;
    }

    return Mesh::Test::Exchange::request_bytes(
        method  => $self->{method} || 'GET',
        path    => $self->{path},
        port    => $self->{port},
        token   => $self->{token},
        headers => [ @headers ],
    ) . ($self->{early} // '');
}


sub read_handshake {
    my ($self) = @_;

    my $end = Time::HiRes::time() + $self->{timeout};

    while ($self->{in} !~ /\r\n\r\n/ && !$self->{eof}) {
        last unless $self->fill($end);
    }

    if ($self->{in} =~ /\AHTTP\/1\.1 101 /
        && $self->{in} =~ s/\A(.*?\r\n\r\n)//s)
    {
        $self->{reply} = Mesh::Test::Reply->new($1);
        $self->{open} = $self->accepts;
        $self->split_frames if $self->{open};
        return;
    }

    # a refusal is an ordinary response

    while (!$self->{eof}) {
        my $missing = Mesh::Test::Reply->new($self->{in})->missing;
        last if defined $missing && $missing == 0;
        last unless $self->fill($end);
    }

    $self->{reply} = Mesh::Test::Reply->new($self->{in});
    $self->{open} = 0;

    return;
}


sub accepts {
    my ($self) = @_;

    my $accept = Digest::SHA::sha1_base64(
        $self->{key} . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';

    return ($self->{reply}->header('Sec-WebSocket-Accept') // '') eq $accept;
}


# Facts.

# The response to the handshake.
sub reply { return $_[0]->{reply} }

# The handshake succeeded, no close frame has come, and no write has failed.
sub is_open { return $_[0]->{open} && !defined $_[0]->{close_code}
                     && !$_[0]->{eof} && !$_[0]->{dead} }

# 1006 when the connection ended without a close frame, 1005 for an empty one.
sub close_code {
    my ($self) = @_;

    return $self->{close_code} // ($self->{eof} ? 1006 : undef);
}

sub close_reason { return $_[0]->{close_reason} }

sub handle { return $_[0]->{socket} }


# Sending.

sub send_text { return $_[0]->send_frame(TEXT, $_[1]) }
sub send_json { return $_[0]->send_text($json->encode($_[1])) }


# Options: fin, rsv (0 to 7), mask (0: not masked), key (4 bytes), length (what
# the header says), form (7, 16 or 64: bits of the length field).

sub send_frame {
    my ($self, $opcode, $payload, %opt) = @_;

    return $self->send_bytes(frame_bytes($opcode, $payload, %opt));
}


sub frame_bytes {
    my ($opcode, $payload, %opt) = @_;

    $payload //= '';

    my $mask = $opt{mask} // 1;
    my $length = $opt{length} // length $payload;
    my $form = $opt{form}
        // ($length < 126 ? 7 : $length < 65536 ? 16 : 64);
    my $first = (($opt{fin} // 1) << 7) | (($opt{rsv} // 0) << 4) | $opcode;
    my $bytes = pack 'C', $first;

    $bytes .= $form == 7 ? pack('C', $mask << 7 | $length)
            : $form == 16 ? pack('Cn', $mask << 7 | 126, $length)
            : pack('CQ>', $mask << 7 | 127, $length);

    return $bytes . $payload unless $mask;

    my $key = $opt{key} // random_bytes(4);

    return $bytes . $key . mask($payload, $key);
}


sub send_bytes {
    my ($self, $bytes) = @_;

    my $end = Time::HiRes::time() + $self->{timeout};
    my $select = IO::Select->new($self->{socket});
    my $sent = 0;

    while ($sent < length $bytes) {
        my $left = $end - Time::HiRes::time();

        return 0 if $left <= 0 || $self->{dead};

        if (!$select->can_write($left < 0.05 ? $left : 0.05)) {

            # the server may be waiting for us to read

            $self->fill(Time::HiRes::time()) unless $self->{deaf};
            next;
        }

        my $n = syswrite $self->{socket}, $bytes, 65536, $sent;

        if (!defined $n) {
            next if $!{EAGAIN};
            $self->{dead} = 1;
            return 0;
        }

        $sent += $n;
    }

    return 1;
}


# Receiving.

# The next whole text or binary message; undef when the deadline passes or
# the connection ends.

sub recv_text {
    my ($self, %opt) = @_;

    my $end = Time::HiRes::time() + ($opt{timeout} // $self->{timeout});

    while (!@{ $self->{texts} }) {
        return undef unless $self->fill($end);
    }

    return shift @{ $self->{texts} };
}


# The first message, of those that came and those to come, whose members have
# the values given: recv_json(type => 'message', content => 'hi').  The others
# stay.  "timeout" is the deadline, not a member.

sub recv_json {
    my ($self, %want) = @_;

    my $seconds = delete $want{timeout} // $self->{timeout};
    my $end = Time::HiRes::time() + $seconds;
    my $from = 0;

    while (1) {
        my $texts = $self->{texts};

        for my $i ($from .. $#$texts) {
            my $value = decode($texts->[$i]);

            next unless ref $value eq 'HASH' && matches($value, %want);

            splice @$texts, $i, 1;
            return $value;
        }

        $from = @$texts;

        return undef unless $self->fill($end);
    }
}


# All messages that wait, decoded; they are taken.

sub take_json {
    my ($self) = @_;

    my @values = map { decode($_) } @{ $self->{texts} };

    $self->{texts} = [];

    return @values;
}


# The next control frame: { opcode, payload }.

sub recv_control {
    my ($self, %opt) = @_;

    my $end = Time::HiRes::time() + ($opt{timeout} // $self->{timeout});

    while (!@{ $self->{frames} }) {
        return undef unless $self->fill($end);
    }

    return shift @{ $self->{frames} };
}


# Reads on until the server closes; its close code, undef when it does not.

sub wait_close {
    my ($self, %opt) = @_;

    my $end = Time::HiRes::time() + ($opt{timeout} // $self->{timeout});

    while (!defined $self->close_code) {
        return undef unless $self->fill($end);
    }

    return $self->close_code;
}


# Reads on until the connection is gone; true when it is.

sub wait_eof {
    my ($self, %opt) = @_;

    my $end = Time::HiRes::time() + ($opt{timeout} // $self->{timeout});

    while (!$self->{eof}) {
        return 0 unless $self->fill($end);
    }

    return 1;
}


# Closes as RFC 6455 wants it and waits for the answer: its code.

sub close {
    my ($self, $code, $reason) = @_;

    $self->send_frame(CLOSE, pack('n', $code // 1000) . ($reason // ''));
    $self->{closing} = 1;

    my $got = $self->wait_close;

    CORE::close $self->{socket};

    return $got;
}


# The connection is gone at once, as when a cable is cut.

sub abort {
    my ($self) = @_;

    setsockopt $self->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
               pack 'ii', 1, 0;
    $self->{eof} = 1;

    return CORE::close $self->{socket};
}


# From now on nothing is read, not even while sending.

sub deafen { $_[0]->{deaf} = 1; return }


# Reads what has arrived on many sockets, waiting at most so many seconds for
# the first of it; the number of sockets that had something.

sub pump {
    my ($class, $seconds, @sockets) = @_;

    my %by = map { fileno $_->{socket} => $_ }
             grep { !$_->{eof} && !$_->{dead} } @sockets;
    my $select = IO::Select->new(map { $_->{socket} } values %by);
    my @ready = $select->can_read($seconds);

    $by{ fileno $_ }->fill(0) for @ready;

    return scalar @ready;
}


# The reader.

# Takes in what is there, or waits for something until the time given; false
# when nothing came and nothing will come in time.

sub fill {
    my ($self, $end) = @_;

    return 0 if $self->{eof};

    my $left = $end - Time::HiRes::time();

    return 0 unless IO::Select->new($self->{socket})
                    ->can_read($left > 0 ? $left : 0);

    my $n = sysread $self->{socket}, $self->{in}, 262144, length $self->{in};

    return 1 if !defined $n && $!{EAGAIN};

    if (!$n) {
        $self->{eof} = 1;
        return 1;
    }

    $self->split_frames if $self->{open};

    return 1;
}


sub split_frames {
    my ($self) = @_;

    my $at = 0;

    while (length($self->{in}) - $at >= 2) {
        my ($first, $second) = unpack 'CC', substr $self->{in}, $at, 2;
        my $length = $second & 127;
        my $head = $length == 126 ? 4 : $length == 127 ? 10 : 2;

        last if length($self->{in}) - $at < $head;

        $length = unpack 'n', substr $self->{in}, $at + 2, 2 if $head == 4;
        $length = unpack 'Q>', substr $self->{in}, $at + 2, 8 if $head == 10;

        last if length($self->{in}) - $at - $head < $length;

        $self->take_frame($first >> 7, $first & 15,
                          substr $self->{in}, $at + $head, $length);
        $at += $head + $length;

        if ($second & 128 || $first & 0x70) {
            push @{ $self->{frames} }, { opcode => -1, payload => 'mask' };
        }
    }

    substr($self->{in}, 0, $at) = '';

    return;
}


sub take_frame {
    my ($self, $fin, $opcode, $payload) = @_;

    if ($opcode < CLOSE) {
        $self->{partial} .= $payload;

        if ($fin) {
            push @{ $self->{texts} }, $self->{partial};
            $self->{partial} = '';
        }

        return;
    }

    push @{ $self->{frames} }, { opcode => $opcode, payload => $payload };

    if ($opcode == PING && !$self->{silent}) {
        $self->send_frame(PONG, $payload);
    }

    if ($opcode == CLOSE && !defined $self->{close_code}) {
        $self->{close_code} = length $payload >= 2 ? unpack('n', $payload)
                                                   : 1005;
        $self->{close_reason} = length $payload > 2 ? substr($payload, 2) : '';
        $self->send_frame(CLOSE, substr $payload, 0, 2)
            unless $self->{closing} || $self->{silent};
    }

    return;
}


sub matches {
    my ($value, %want) = @_;

    for my $name (keys %want) {
        return 0 unless exists $value->{$name};

        my $is = $value->{$name};
        my $must = $want{$name};

        return 0 if !defined $is && defined $must;
        return 0 if ref $must eq 'Regexp' ? $is !~ $must
                    : defined $must && $is ne $must;
    }

    return 1;
}


sub decode { return scalar eval { $json->decode($_[0]) } }

sub mask {
    my ($bytes, $key) = @_;

    my $n = length $bytes;

    return $bytes ^ substr $key x ($n / 4 + 1), 0, $n;
}

sub random_bytes { return join '', map { chr int rand 256 } 1 .. $_[0] }


1;
