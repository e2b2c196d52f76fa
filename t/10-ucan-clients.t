#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Tokens that were made by others, the npm packages ucans (0.8.1) and iso-ucan
# (1.0), and by hand, let their holders through nginx; with any bit changed
# they do not.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use MIME::Base64 qw(decode_base64 decode_base64url encode_base64
                    encode_base64url);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

use constant CHANGES => 24;     # of each token

my $top = Mesh::Test->top;
my $modules = "$top/.node/node_modules";

for my $name ('ucans', 'iso-ucan') {
    plan skip_all => "no npm package \"$name\": t/run installs it"
        unless -d "$modules/$name";
}

srand 20262;


# What others make for this service; whom it trusts is known only then.

my $service = Mesh::Test::Mint->did('mesh');

sub client {
    my ($name) = @_;

    my ($rc, $out, $err) = Mesh::Test::run(
        [ 'node', "$top/t/clients/$name.js", $service ],
        env => { NODE_PATH => $modules }, seconds => 120);

    die "$name: $err" if $rc != 0;

    return Mesh::Test->json_decode($out);
}

my %made = map { $_ => client($_) } 'ucans', 'iso-ucan';
my @roots = map { @{ $_->{roots} } } values %made;
my $trust = join "\n", map { "        ucan_trust  $_;" } @roots;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => $service },
    server  => qq{
        large_client_header_buffers 8 32k;
        ucan_audience  file:mesh.did;
$trust
        location /open {
            empty_gif;
            ucan          on;
        }
        location /read {
            empty_gif;
            ucan          on;
            ucan_require  /room/read room=r_1;
        }
        location /other {
            empty_gif;
            ucan          on;
            ucan_require  /room/read room=r_2;
        }
        location /manage {
            empty_gif;
            ucan          on;
            ucan_require  /room/read/again room=r_1;
        }
        location /file {
            empty_gif;
            ucan           on;
            ucan_require   /file/read;
            ucan_resource  https://example.org/f/\$arg_n;
        }
    },
)->start;

sub status {
    my ($path, $token) = @_;

    return $mesh->get($path, token => $token)->status;
}


# The same token with one bit changed: of a JWT in a part, of a container in
# what it packs.

sub changed {
    my ($token) = @_;

    if ($token =~ /^e/) {
        my @parts = split /\./, $token;
        my $i = int rand @parts;

        $parts[$i] = encode_base64url(flip(decode_base64url($parts[$i])));

        return join '.', @parts;
    }

    my ($form, $body) = $token =~ /^(.)(.*)\z/;
    my $bytes = $form =~ /[BO]/ ? decode_base64($body)
                                : decode_base64url($body);

    # a packed one begins with bytes that say nothing: as if it were not

    return 'C' . encode_base64url(flip(unpacked($bytes)));
}

sub flip {
    my ($bytes) = @_;

    substr($bytes, int rand length $bytes, 1) ^= chr(1 << int rand 8);

    return $bytes;
}

sub unpacked {
    my ($bytes) = @_;

    return $bytes if $bytes !~ /^\x1f\x8b/;

    require IO::Uncompress::Gunzip;
    IO::Uncompress::Gunzip::gunzip(\$bytes, \my $text)
        or die 'a container that is no gzip';

    return $text;
}

# First what is bad: an invocation is good only once.

sub check_token {
    my ($name, $token, $kind) = @_;

    my %got = map { $_ => 1 }
              map { status('/open', changed($token)) } 1 .. CHANGES;

    is_deeply([ grep { !/^(?:40[01]|510)$/ } keys %got ], [],
              "$name: refused with a bit changed");
    is(status('/read', $token), 200, "$name: accepted");

    return if $kind ne 'sessions';

    is(status('/read', $token), 200, '... and again, it is a session');
    is(status('/other', $token), 403, '... not for another room')
        if $name =~ /^ucans/;
    is(status('/manage', $token), 403, '... nor for another command')
        if $name =~ /^ucans/;

    return;
}

for my $client (sort keys %made) {
    for my $kind ('sessions', 'invocations') {
        my $tokens = $made{$client}{$kind} || {};

        check_token("$client, $kind, $_", $tokens->{$_}, $kind)
            for sort keys %$tokens;
    }

    my $later = $made{$client}{later};

    for my $name (sort keys %$later) {
        like(status('/read', $later->{$name}), qr/^(?:40[13]|510)$/,
             "$client: refused, $name");
    }
}

# Any URI may be what they are about.

my $files = $made{ucans}{files};

for my $name (sort keys %$files) {
    is(status('/file?n=1', $files->{$name}), 200,
       "ucans: a resource of its own, $name");
    is(status('/file?n=2', $files->{$name}), 403, '... and not another');
    is(status('/read', $files->{$name}), 403, '... nor a room');
}

done_testing;
