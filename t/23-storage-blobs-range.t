#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Parts of a blob are what nginx gives of a static file with the same bytes:
# ranges at every edge, several at once, If-Range (RFC 9110, 14).

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

use constant SIZE => 200_000;

my $bytes = join '', map { pack 'N', $_ * 2654435761 % 2**32 } 1 .. SIZE / 4;


# What two answers must share; the boundary of parts is a counter of nginx.

sub essence {
    my ($reply) = @_;

    my $body = $reply->body;
    my $type = $reply->header('Content-Type') // '';

    if ($type =~ s/boundary=(\d+)/boundary=B/) {
        my $boundary = $1;
        $body =~ s/^--\Q$boundary\E/--B/mg;
    }

    return join "\n", $reply->status,
           map({ $_ // '-' } $reply->header('Content-Range'),
               $reply->header('Accept-Ranges')),
           $reply->status == 416 ? () : ($type,
               $reply->header('Content-Length'), sha256_hex($body));
}


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(
        adapter   => $adapter,
        files     => { 'html/file' => $bytes, 'html/small' => 'a few bytes' },
        locations => 'location /static/ { default_type x/y;
                                          alias %%PREFIX%%/html/; }',
    )->start;

    my %headers = ('Content-Type' => 'x/y');

    $node->put('blobs/n/file', $bytes, headers => \%headers);
    $node->put('blobs/n/small', 'a few bytes', headers => \%headers);

    for my $name (qw(file small)) {
        for my $range ('0-0', '0-', '-1', '-0', '5-9', '199999-', '199999-0',
                       '200000-', '199990-300000', '-999999', '0-1,5-6',
                       '0-99999,100000-', '1-2,1-2,1-2', '3-2', 'x', '',
                       '0-1,', '-5,0-3', '10-,5-',
                       '0-18446744073709551615', '18446744073709551616-',
                       join(',', map { "$_-$_" } 1 .. 5))
        {
            my %with = (headers => { Range => "bytes=$range" });

            is(essence($node->get("blobs/n/$name", %with)),
               essence($node->get("/static/$name", %with)),
               "$adapter: \"$range\" of a $name is what a static file gives");
        }
    }

    my $unit = { headers => { Range => 'lines=1-2' } };

    is($node->get('blobs/n/file', %$unit)->status, 200,
       "$adapter: another unit is let be");

    my $none = $node->get('blobs/n/file',
                          headers => { Range => 'bytes=200000-' });

    is($none->status, 416, 'a range behind the end is refused');
    is($none->header('Content-Range'), 'bytes */200000',
       'and where the end is told');
    is($none->json->{error}, 'range', 'in a problem');

    my $etag = '"' . sha256_hex($bytes) . '"';

    is($node->get('blobs/n/file', headers => {
           Range => 'bytes=1-4', 'If-Range' => $etag })->body,
       substr($bytes, 1, 4), "$adapter: a part, if it is still the same");
    is($node->get('blobs/n/file', headers => {
           Range => 'bytes=1-4', 'If-Range' => '"other"' })->status, 200,
       'the whole when it is not');
    is($node->get('blobs/n/file', headers => {
           Range => 'bytes=1-4', 'If-Range' => "W/$etag" })->status, 200,
       'or when that is not sure');
    is($node->head('blobs/n/file', headers => {
           Range => 'bytes=1-4' })->status,
       $node->head('/static/file', headers => {
           Range => 'bytes=1-4' })->status,
       'HEAD is as of a static file');
}

done_testing();
