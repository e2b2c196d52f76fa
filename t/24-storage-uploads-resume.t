#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# An upload goes on where it was: in another worker, after a reload, a
# kill -9 or a client that left, and only for who began it.

use strict;
use warnings;

use Digest::SHA qw(sha1_base64 sha256_hex);
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

use constant SIZE => 3_000_000;

my @TUS = ('Tus-Resumable' => '1.0.0');
my @OCTETS = (@TUS, 'Content-Type' => 'application/offset+octet-stream');

my $bytes = join '', map { sha256_hex("resume $_") } 1 .. SIZE / 64;


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(adapter => $adapter, workers => 2)
               ->start;

    my $create = sub {
        my ($name, $length, %opt) = @_;

        my $made = $node->post('uploads/n', '', %opt, headers => [
            @TUS, 'Upload-Length' => $length,
            'Upload-Metadata' => 'filename ' . encode_base64($name, '') ]);

        die $made->raw if $made->status != 201;

        return $made->header('Location');
    };

    # a request that promises the rest and sends a part of it

    my $begin = sub {
        my ($path, $offset, $part, @more) = @_;

        return $node->begin(PATCH => $path, body => $part, headers => [
            @OCTETS, 'Upload-Offset' => $offset,
            'Content-Length' => length($bytes) - $offset, @more ]);
    };

    my $patch = sub {
        my ($path, $offset, $part, %opt) = @_;

        return $node->patch($path, $part, %opt, headers => [
            @OCTETS, 'Upload-Offset' => $offset ]);
    };

    my $offset = sub {
        return $node->head($_[0], headers => [ @TUS ])
                    ->header('Upload-Offset') // -1;
    };


    # a client that leaves

    my $path = $create->('left', length $bytes);
    my $left = $begin->($path, 0, substr $bytes, 0, 300_000);

    $node->wait_for(sub { $offset->($path) > 0 }, 20, 'the first piece');
    $left->write(substr $bytes, 300_000, 400_000);
    close $left->{socket};
    $node->wait_for(sub { $offset->($path) == 700_000 }, 20,
                    "$adapter: what came before the client left");
    pass("$adapter: what came before a client left is kept, to the byte");


    # one that hangs, and comes back on another connection

    my $hung = $begin->($path, 700_000, substr $bytes, 700_000, 300_000);

    $node->wait_for(sub { $offset->($path) > 700_000 }, 20, 'the first piece');

    my $at = $offset->($path);

    is($patch->($path, $at, substr $bytes, $at, 500_000)->status, 204,
       "$adapter: one whose connection hangs goes on with another");
    $hung->write(substr $bytes, 1_000_000, 500_000);

    my $late = $hung->reply;

    is($late->status, 409, 'the first one is told that it came too late');
    is($offset->($path), $at + 500_000, 'and its bytes are not added');


    # a reload in the middle of a request

    $at = $offset->($path);

    my $slow = $begin->($path, $at, substr $bytes, $at, 300_000);

    $node->wait_for(sub { $offset->($path) > $at }, 20, 'the first piece');
    $node->reload;
    $slow->write(substr $bytes, $at + 300_000);
    is($slow->reply->status, 204,
       "$adapter: a request under way ends after a reload");
    ok($node->get('blobs/n/left')->body eq $bytes,
       'and what came by four requests is the blob, byte by byte');


    # two at once: one of them wins

    my $race = $create->('race', length $bytes);
    my @both = map { $node->begin(PATCH => $race, body => $bytes, headers => [
                         @OCTETS, 'Upload-Offset' => 0 ]) } 1 .. 4;
    my @status = sort map { $_->reply->status } @both;

    is_deeply([ grep { $_ != 204 && $_ != 409 && $_ != 413 } @status ], [],
              "$adapter: of several at once each is taken or told: @status");

    for (1 .. 20) {
        my $n = $offset->($race);
        last if $n == length $bytes;
        $patch->($race, $n, substr $bytes, $n);
    }

    ok($node->get('blobs/n/race')->body eq $bytes, 'nothing is mixed up');


    # kill -9 of every worker in the middle

    my $dead = $create->('dead', length $bytes);
    my $kept = 0;

    for my $round (1 .. 4) {
        my $n = $offset->($dead);

        cmp_ok($n, '>=', $kept, "$adapter: after $round kill -9 is kept what "
                                . 'was told before');
        is($patch->($dead, $n, substr $bytes, $n, 200_000)->status, 204,
           'the upload goes on');
        $kept = $n + 200_000;

        my $under_way = $begin->($dead, $kept,
                                 substr $bytes, $kept, 290_000);

        $node->wait_for(sub { $offset->($dead) > $kept }, 20, 'a piece');
        $node->kill_worker($_) for $node->workers;
        close $under_way->{socket};
    }

    my $n = $offset->($dead);

    is($patch->($dead, $n, substr $bytes, $n)->status, 204,
       'to its end');
    ok($node->get('blobs/n/dead')->body eq $bytes,
       'and is the blob, byte by byte');


    # a worker that dies between the last byte and the blob

    my $end = $create->('end', 100_000);
    my ($id) = $end =~ m{([^/]+)$};

    $patch->($end, 0, substr $bytes, 0, 90_000);

    my $file = $node->data . "/blobs/tmp/up-$id";

    open my $out, '>>', $file or die "$file: $!";
    print {$out} substr $bytes, 90_000, 10_000;
    close $out;

    is($offset->($end), 100_000,
       "$adapter: one that has all of its bytes, but no blob, is ended");
    ok($node->get('blobs/n/end')->body eq substr($bytes, 0, 100_000),
       'by who asks how far it is');
    ok(!-e $file, 'and its file goes');


    # a checksum that a dead worker could not look at

    my $sum = $create->('sum', length $bytes);
    my $open = $begin->($sum, 0, substr($bytes, 0, 800_000),
        'Upload-Checksum' => 'sha1 ' . sha1_base64($bytes) . '=');

    $node->wait_for(
        sub { grep { -s } glob $node->data . '/blobs/tmp/*' }, 20,
        'bytes that wait for their checksum');
    $node->kill_worker($_) for $node->workers;
    close $open->{socket};
    is($offset->($sum), 0,
       "$adapter: bytes whose checksum was not looked at do not count");


    # only who began it

    my $ada = $node->token(name => 'ada', ns => 'n');
    my $eve = $node->token(name => 'eve', ns => 'n');
    my $reader = $node->token(name => 'ada', ns => 'n', can => ['read']);
    my $hers = $create->('hers', 10, token => $ada);

    is($patch->($hers, 0, 'abc', token => $ada)->status, 204,
       "$adapter: who began an upload adds to it");
    is($patch->($hers, 3, 'xxx', token => $eve)->status, 404,
       'for another it is not there');
    is($node->head($hers, token => $eve, headers => [ @TUS ])->status, 404,
       'neither to look at');
    is($node->del($hers, token => $eve, headers => [ @TUS ])->status, 404,
       'nor to give up');
    is($patch->($hers, 3, 'def', token => $reader)->status, 403,
       'nor for a token that does not allow it');
    is($node->post('uploads/n', '', token => $reader, headers => [
           @TUS, 'Upload-Length' => 1,
           'Upload-Metadata' => 'filename YQ==' ])->status, 403,
       'nor to begin one');
    is($node->head($hers =~ s{/n/}{/m/}r, token => $ada,
                   headers => [ @TUS ])->status, 404,
       'nor in another namespace');

    my $prefix = $node->token(name => 'ada', ns => 'n', key_prefix => 'mine/');

    is($node->post('uploads/n', '', token => $prefix, headers => [
           @TUS, 'Upload-Length' => 1,
           'Upload-Metadata' => 'filename YQ==' ])->status, 403,
       "$adapter: the name must be one that the token allows");
    is($node->post('uploads/n', '', token => $prefix, headers => [
           @TUS, 'Upload-Length' => 1, 'Upload-Metadata' =>
           'filename ' . encode_base64('mine/a', '') ])->status, 201,
       'this one is');
}

done_testing();
